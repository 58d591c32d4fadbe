/*
 * The command line of supd, see supd(8).
 */
#ifndef SUPD_SUPD_OPTIONS_H
#define SUPD_SUPD_OPTIONS_H

#include <stdbool.h>

struct supd_options {
	const char *config_path;
	bool check, check_resume;
};

/* What is answered at once, as a mistake is, does not return. */
struct supd_options supd_options_read(int argc, char **argv);

#endif
