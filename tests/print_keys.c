/*
 * Prints every key of the configuration, as `SECTION KEY` lines, from the
 * table that the parser uses.  tests/check-docs.sh holds supd.conf(5) against
 * it, so that no key stays undocumented.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config.h"

int
main(void)
{
	config_print_keys(stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
