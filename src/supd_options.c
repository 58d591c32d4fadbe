/*
 * The command line of supd.
 */
#include "supd_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "usage: supd [-c FILE] [--check | --check-resume]\n"
    "       supd --help | --version\n"
    "\n"
    "Keeps the services of FILE running and rolls their builds over; see\n"
    "supd(8), supd.conf(5) and supctl(1).\n"
    "\n"
    "  -c, --config FILE  instead of the default configuration\n"
    "      --check        read the configuration, say what is wrong, exit\n"
    "      --check-resume could it go on from the state on descriptor 3?\n";

struct supd_options
supd_options_read(int argc, char **argv)
{
	static const struct option list[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "check-resume", no_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct supd_options options = { .config_path = config_default_path() };
	int option;

	while ((option = getopt_long(argc, argv, "c:", list, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'k':
			options.check = true;
			break;
		case 'r':
			options.check_resume = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			exit(0);
		case 'V':
			(void)puts("supd " PACKAGE_VERSION);
			exit(0);
		default:
			(void)fputs(usage, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind != argc) {
		(void)fprintf(stderr, "supd: takes no argument %s\n%s",
		    argv[optind], usage);
		exit(EXIT_USAGE);
	}
	return options;
}
