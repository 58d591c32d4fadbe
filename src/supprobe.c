/*
 * supprobe: one health check, one process.
 *
 * It is apart from supd because it reads what a server answers, and needs a
 * big library for it; it may crash or be killed and is no more than a failed
 * probe then.  It says in one line what it saw.
 */
#include "supprobe.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "config_value.h"
#include "printable.h"
#include "probe.h"

enum { TIMEOUT_MS_MAX = 24 * 60 * 60 * 1000 };

static const char usage[] =
    "usage: supprobe http --connect ADDRESS [--fd N] [--path /PATH]\n"
    "                [--status MIN-MAX] [--body TEXT] [--timeout-ms MS]\n"
    "       supprobe tcp --connect ADDRESS [--fd N] [--timeout-ms MS]\n"
    "       supprobe --help | --version\n"
    "\n"
    "Checks once whether a server answers; see supprobe(8).\n"
    "\n"
    "  --connect ADDRESS  HOST:PORT (numeric) unix:/PATH or unix:@NAME\n"
    "  --fd N             connect this TCP socket, which is open and bound\n"
    "  --path /PATH       ask for it (default /)\n"
    "  --status MIN-MAX   what the status must be (default 200-399)\n"
    "  --body TEXT        what the body must contain\n"
    "  --timeout-ms MS    for all of it (default 1000)\n";

static void __attribute__((noreturn, format(printf, 1, 2)))
refuse(const char *format, ...)
{
	va_list arguments;

	(void)fputs("supprobe: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputs("; see supprobe --help\n", stderr);
	exit(SUPPROBE_USAGE);
}

/* Digits only, to `end`; false if it is out of range. */
static bool
parse_number(const char *text, char end, uint32_t min, uint32_t max,
    uint32_t *ret_number)
{
	size_t length = strspn(text, "0123456789");
	unsigned long number;

	if (length == 0 || length > 9 || text[length] != end)
		return false;
	number = strtoul(text, NULL, 10);
	if (number < min || number > max)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static void
take_address(struct supprobe *probe, const char *text)
{
	char wrong[REASON_BYTES_MAX];
	struct address address;

	if (config_address_parse(text, false, &address, wrong) < 0)
		refuse("--connect %s", wrong);
	if (address.kind != ADDRESS_STREAM)
		refuse("--connect is for TCP and unix stream sockets, not %s",
		    address_kind_text(&address));
	probe->target = probe_target(&address);
}

static void
take_fd(struct supprobe *probe, const char *text)
{
	uint32_t fd;

	if (!parse_number(text, '\0', 3, INT_MAX, &fd))
		refuse("--fd must be a number from 3 on, not \"%s\"", text);
	probe->fd = (int)fd;
}

/* It goes into the request as it is. */
static void
take_path(struct supprobe *probe, const char *text)
{
	const char *c = text;

	while (*c > ' ' && *c <= '~')
		c++;
	if (text[0] != '/' || *c != '\0')
		refuse("--path must begin with / and consist of printable "
		    "ASCII without blanks");
	probe->path = text;
}

static void
take_status(struct supprobe *probe, const char *text)
{
	const char *dash = strchr(text, '-');
	bool good;

	if (dash == NULL) {
		good = parse_number(text, '\0', 100, 999, &probe->status_min);
		probe->status_max = probe->status_min;
	} else {
		good = parse_number(text, '-', 100, 999, &probe->status_min) &&
		    parse_number(dash + 1, '\0', probe->status_min, 999,
			&probe->status_max);
	}
	if (!good)
		refuse("--status must be N or MIN-MAX, of 100 to 999, not "
		    "\"%s\"", text);
}

static void
take_option(struct supprobe *probe, int option, const char *value)
{
	switch (option) {
	case 'c':
		take_address(probe, value);
		break;
	case 'f':
		take_fd(probe, value);
		break;
	case 'p':
		take_path(probe, value);
		break;
	case 's':
		take_status(probe, value);
		break;
	case 'b':
		if (value[0] == '\0')
			refuse("--body must not be empty");
		probe->body = value;
		break;
	case 't':
		if (!parse_number(value, '\0', 1, TIMEOUT_MS_MAX,
		    &probe->timeout_ms))
			refuse("--timeout-ms must be a number from 1 to %d, "
			    "not \"%s\"", TIMEOUT_MS_MAX, value);
		break;
	case 'h':
		(void)fputs(usage, stdout);
		exit(SUPPROBE_PASSED);
	case 'V':
		(void)puts("supprobe " PACKAGE_VERSION);
		exit(SUPPROBE_PASSED);
	}
}

/* Those of a request come first. */
static const struct option options[] = {
	{ "path", required_argument, NULL, 'p' },
	{ "status", required_argument, NULL, 's' },
	{ "body", required_argument, NULL, 'b' },
	{ "connect", required_argument, NULL, 'c' },
	{ "fd", required_argument, NULL, 'f' },
	{ "timeout-ms", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static void
check_fd(const struct supprobe *probe)
{
	socklen_t size = sizeof(int);
	int type;

	if (probe->target.family == ADDRESS_UNIX)
		refuse("--fd is for TCP, and the address is a unix socket's");
	if (getsockopt(probe->fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		refuse("--fd %d: %s", probe->fd, strerror(errno));
	if (type != SOCK_STREAM)
		refuse("--fd %d is no stream socket", probe->fd);
}

static struct supprobe
read_command_line(int argc, char **argv)
{
	struct supprobe probe = {
		.fd = -1, .status_min = 200, .status_max = 399,
		.timeout_ms = 1000,
	};
	bool connect = false, asks = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == '?')
			refuse("%s is no option, or lacks its value, or has "
			    "one and takes none", argv[optind - 1]);
		take_option(&probe, option, optarg);
		connect = connect || option == 'c';
		asks = asks || strchr("psb", option) != NULL;
	}
	if (optind != argc - 1 || (strcmp(argv[optind], "http") != 0 &&
	    strcmp(argv[optind], "tcp") != 0))
		refuse("expected `http` or `tcp`, and options");
	if (!connect)
		refuse("--connect is required");
	if (probe.fd >= 0)
		check_fd(&probe);
	if (strcmp(argv[optind], "tcp") == 0) {
		if (asks)
			refuse("--path, --status and --body are for `http`");
	} else if (probe.path == NULL) {
		probe.path = "/";
	}
	return probe;
}

/*
 * The connection ends with a FIN, and by shutdown(2), for supd may still have
 * a socket that it gave us.  A reset (SO_LINGER of 0) would leave no TIME_WAIT
 * behind, but a server that reads, or has not accepted yet, would find errors
 * every few seconds and log them.  One that closes first, as it is asked to,
 * leaves none on our side anyway; else one port of some 28,000 is taken for a
 * minute.
 */
static void
hang_up(const struct supprobe *probe)
{
	if (probe->fd >= 0)
		(void)shutdown(probe->fd, SHUT_RDWR);
}

int
main(int argc, char **argv)
{
	struct supprobe probe = read_command_line(argc, argv);
	char text[SUPPROBE_TEXT_BYTES_MAX], line[SUPPROBE_TEXT_BYTES_MAX];
	enum supprobe_exit result;

	probe.start_ms = clock_ms();
	result = probe.path != NULL ? supprobe_http(&probe, text) :
	    supprobe_tcp(&probe, text);
	hang_up(&probe);
	(void)printable_copy(line, sizeof(line), text, strlen(text), "");
	(void)puts(line);
	return (int)result;
}
