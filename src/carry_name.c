/*
 * Which names are ours.
 */
#include "carry.h"

#include <string.h>

/* The list in carry.h. */
static const char letters[] = "fhoprstuw";

char
carry_kind(const char *name)
{
	if (strncmp(name, "supd-", 5) == 0)
		return '-';
	if (name[0] != '\0' && strchr(letters, name[0]) != NULL &&
	    name[1] >= '0' && name[1] <= '9')
		return name[0];
	return '\0';
}
