/*
 * supctl, the command line: from words to a verb.
 *
 * One table has everything there is to know of a verb: its name, what it
 * takes, what it says about itself, and the function that runs it.  The help
 * and the suggestions for typing errors come from it.
 *
 * Exit codes are in enum supctl_exit; what cannot be written to standard
 * output is an error too, except when nobody reads any more.
 */
#include "supctl.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

enum { OPERANDS_ANY = SERVICES_MAX };

enum verb_flag {
	VERB_CHANGES = 1 << 0,          /* may change something */
	VERB_LOCAL = 1 << 1,            /* needs no supervisor */
};

struct verb {
	const char *name;
	const char *usage;
	const char *help;
	size_t operands_min, operands_max;
	unsigned options;
	unsigned flags;
	int (*run)(const struct supctl *);
};

static int verb_help(const struct supctl *);
static int verb_version(const struct supctl *);

static const struct verb verbs[] = {
	{ "status", "[SERVICE] [--json] [--watch]",
	    "Show what runs, and what is wrong.",
	    0, 1, OPTION_JSON | OPTION_WATCH, 0, verb_status },
	{ "reload", "[SERVICE...] [--version V] [--commit-time T] "
	    "[--strategy S]\n"
	    "[--plan] [--if-changed] [--force] [--no-wait] [--json]",
	    "Roll out what is new in the configuration and in the builds.",
	    0, OPERANDS_ANY, OPTION_VERSION | OPTION_COMMIT_TIME |
	    OPTION_STRATEGY | OPTION_PLAN | OPTION_IF_CHANGED | OPTION_FORCE |
	    OPTION_NO_WAIT | OPTION_JSON, VERB_CHANGES, verb_reload },
	{ "rollout", "status SERVICE [--watch] [--json]\n"
	    "pause|resume SERVICE [--json]\n"
	    "promote|abort SERVICE [--no-wait] [--json]",
	    "Show the rollout that runs, hold it, or bring it to an end.",
	    2, 2, OPTION_WATCH | OPTION_NO_WAIT | OPTION_JSON, 0,
	    verb_rollout },
	{ "undo", "SERVICE [--to-revision N] [--no-wait] [--json]",
	    "Go back to the release before, or to an older one.",
	    1, 1, OPTION_TO_REVISION | OPTION_NO_WAIT | OPTION_JSON,
	    VERB_CHANGES, verb_undo },
	{ "history", "[SERVICE] [-n N] [--json]",
	    "Show past rollouts, and which releases are still in use.",
	    0, 1, OPTION_LIMIT | OPTION_JSON, 0, verb_history },
	{ "dora", "[SERVICE] [--since D] [--json]",
	    "Show how often and how well a service is deployed.",
	    0, 1, OPTION_SINCE | OPTION_JSON, 0, verb_dora },
	{ "start", "SERVICE",
	    "Start a service that was stopped.",
	    1, 1, 0, VERB_CHANGES, verb_start },
	{ "stop", "SERVICE",
	    "Stop a service until it is started again.",
	    1, 1, 0, VERB_CHANGES, verb_stop },
	{ "restart", "SERVICE",
	    "Replace all workers by new ones of the same build.",
	    1, 1, 0, VERB_CHANGES, verb_restart },
	{ "scale", "SERVICE=N",
	    "Run N workers, until the next reload.",
	    1, 1, 0, VERB_CHANGES, verb_scale },
	{ "signal", "SERVICE SIGNAL",
	    "Send a signal to every worker.",
	    2, 2, 0, VERB_CHANGES, verb_signal },
	{ "events", "[-f] [--json] [SERVICE]",
	    "Show the latest events, and with -f those to come.",
	    0, 1, OPTION_FOLLOW | OPTION_JSON, 0, verb_events },
	{ "check", "[FILE]",
	    "Read a configuration and say what is wrong with it.",
	    0, 1, 0, VERB_LOCAL, verb_check },
	{ "upgrade", "[--to PATH] [--json]",
	    "Replace supd by the one that is installed; all workers go on.",
	    0, 0, OPTION_TO | OPTION_JSON, VERB_CHANGES, verb_upgrade },
	{ "shutdown", "",
	    "Stop all services, and supd.",
	    0, 0, 0, VERB_CHANGES, verb_shutdown },
	{ "help", "[VERB]",
	    "Show this, or the usage of one verb.",
	    0, 1, 0, VERB_LOCAL, verb_help },
	{ "version", "",
	    "Show the version of supctl.",
	    0, 0, 0, VERB_LOCAL, verb_version },
};
enum { VERB_COUNT = sizeof(verbs) / sizeof(verbs[0]) };

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < VERB_COUNT; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int
unknown_verb(const char *name)
{
	const char *names[VERB_COUNT];
	const char *nearest;

	for (size_t i = 0; i < VERB_COUNT; i++)
		names[i] = verbs[i].name;
	nearest = nearest_word(name, names, VERB_COUNT);
	if (nearest != NULL)
		complain("no verb \"%s\": did you mean \"%s\"? (all of them: "
		    "supctl help)", name, nearest);
	else
		complain("no verb \"%s\" (all of them: supctl help)", name);
	return SUPCTL_USAGE;
}

/* `supctl VERB …`; further lines of a usage are indented. */
static void
print_usage(FILE *out, const char *before, const struct verb *verb)
{
	const char *p = verb->usage;

	draw_raw(out, before);
	draw_raw(out, verb->name);
	if (*p != '\0')
		draw_raw(out, " ");
	for (; *p != '\0'; p++) {
		const char letter[2] = { *p, '\0' };

		draw_raw(out, letter);
		if (*p == '\n')
			draw_raw(out, "          ");
	}
	draw_raw(out, "\n");
}

static void
print_help(FILE *out)
{
	fputs("usage: supctl [-c FILE | --socket PATH] VERB ...\n\n", out);
	for (size_t i = 0; i < VERB_COUNT; i++) {
		print_usage(out, "  ", &verbs[i]);
		fprintf(out, "        %s\n", verbs[i].help);
	}
	fputs("\nThe supervisor is found by --socket PATH, else the runtime_dir "
	    "of -c FILE,\nelse $SUPD_CONTROL, else the runtime_dir of the "
	    "default configuration.\n"
	    "Exit codes: 0 done, 1 failed or rolled back, 2 usage or bad "
	    "configuration,\n3 no supervisor there, 4 not permitted.\n"
	    "More is in supctl(1); --help and --version do as the verbs do.\n",
	    out);
}

static int
verb_help(const struct supctl *ctl)
{
	const struct verb *verb;

	if (ctl->operand_count == 0) {
		print_help(stdout);
		return SUPCTL_DONE;
	}
	verb = find_verb(ctl->operands[0]);
	if (verb == NULL)
		return unknown_verb(ctl->operands[0]);
	print_usage(stdout, "usage: supctl ", verb);
	puts(verb->help);
	return SUPCTL_DONE;
}

static int
verb_version(const struct supctl *ctl)
{
	(void)ctl;
	puts("supctl " PACKAGE_VERSION);
	return SUPCTL_DONE;
}

/*
 * The control socket of the configuration that is meant.  A default one that
 * is not there or not in order is no obstacle: the supervisor may run all the
 * same, and status is how to see it.
 */
static int
find_socket(struct supctl *ctl, char **ret_path)
{
	const char *environment = getenv("SUPD_CONTROL");
	const char *directory = config_default_runtime_dir();
	struct config_errors errors;
	struct config *config;

	*ret_path = NULL;
	if (ctl->socket_path == NULL && ctl->config_path == NULL &&
	    environment != NULL && environment[0] != '\0')
		ctl->socket_path = environment;
	if (ctl->socket_path != NULL)
		return SUPCTL_DONE;
	config = config_read(ctl->config_path, &errors);
	if (config == NULL && ctl->config_path != NULL) {
		complain_errors(&errors);
		config_errors_release(&errors);
		complain("%s: the configuration has errors, so its runtime_dir "
		    "is not known (another way: --socket PATH)",
		    ctl->config_path);
		return SUPCTL_USAGE;
	}
	config_errors_release(&errors);
	if (config != NULL)
		directory = config->runtime_dir;
	if (asprintf(ret_path, "%s/control.sock", directory) < 0)
		*ret_path = NULL;
	ctl->socket_path = draw_memory(*ret_path);
	config_free(config);
	return SUPCTL_DONE;
}

/* JSON is UTF-8; so is what is put into it. */
static int
check_text(const char *text)
{
	json_t *string = json_string(text);

	if (string == NULL) {
		complain("not UTF-8: \"%s\"", text);
		return SUPCTL_USAGE;
	}
	json_decref(string);
	return SUPCTL_DONE;
}

static int
check_operands(const struct supctl *ctl, const struct verb *verb)
{
	const char *problem = NULL;

	if (ctl->operand_count < verb->operands_min)
		problem = "something is missing";
	if (ctl->operand_count > verb->operands_max)
		problem = "that is too much";
	if (problem != NULL) {
		complain("%s: %s", verb->name, problem);
		print_usage(stderr, "usage: supctl ", verb);
		return SUPCTL_USAGE;
	}
	for (size_t i = 0; i < ctl->operand_count; i++)
		if (check_text(ctl->operands[i]) != SUPCTL_DONE)
			return SUPCTL_USAGE;
	if (ctl->to_path != NULL && check_text(ctl->to_path) != SUPCTL_DONE)
		return SUPCTL_USAGE;
	return ctl->version != NULL ? check_text(ctl->version) : SUPCTL_DONE;
}

static int
run_verb(struct supctl *ctl, int argc, char **argv)
{
	const struct verb *verb = find_verb(argv[0]);
	char *socket_path = NULL;
	int code;

	if (verb == NULL)
		return unknown_verb(argv[0]);
	ctl->verb = verb->name;
	ctl->changes = verb->flags & VERB_CHANGES;
	code = options_parse(ctl, argc, argv, verb->options | OPTION_CONFIG |
	    OPTION_SOCKET | OPTION_HELP, false);
	if (code != SUPCTL_DONE)
		return code;
	if (ctl->help) {
		print_usage(stdout, "usage: supctl ", verb);
		puts(verb->help);
		return SUPCTL_DONE;
	}
	ctl->operands = argv + optind;
	ctl->operand_count = (size_t)(argc - optind);
	code = check_operands(ctl, verb);
	if (code == SUPCTL_DONE && !(verb->flags & VERB_LOCAL))
		code = find_socket(ctl, &socket_path);
	if (code == SUPCTL_DONE)
		code = verb->run(ctl);
	free(socket_path);
	return code;
}

/*
 * What was printed may not have arrived.  Who has gone does not mind, and then
 * the verdict is still what counts.
 */
static int
flush_output(int code)
{
	int error = draw_flush();

	if (error == 0 || error == EPIPE)
		return code;
	complain("cannot write to standard output: %s", strerror(error));
	return code == SUPCTL_DONE ? SUPCTL_FAILED : code;
}

/* 0, 1 and 2 must be something, or the connection could become standard output
 * and supd be told what is meant for the user.  Nothing can be written there. */
static void
fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int
main(int argc, char **argv)
{
	struct supctl ctl = { 0 };
	int code;

	fill_standard_fds();
	/* An error is one write: others may write to the same log. */
	(void)setvbuf(stderr, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	code = options_parse(&ctl, argc, argv, OPTION_CONFIG | OPTION_SOCKET |
	    OPTION_HELP | OPTION_ABOUT, true);
	if (code != SUPCTL_DONE)
		return code;
	if (ctl.help) {
		code = verb_help(&ctl);
	} else if (ctl.about) {
		code = verb_version(&ctl);
	} else if (optind >= argc) {
		print_help(stderr);
		code = SUPCTL_USAGE;
	} else {
		code = run_verb(&ctl, argc - optind, argv + optind);
	}
	return flush_output(code);
}
