/*
 * What is carried by the parent: fds that came from it, and what it is told.
 */
#include "carry_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

enum { TOLD_BYTES = 4096 };

static struct sockaddr_un address;
static int server = -1;
static char told[TOLD_BYTES];

/* As if a parent had started this program with these: fds from 3 on. */
static void
come_from_parent(const char *names, const char *const *texts, unsigned count)
{
	char number[16];

	for (unsigned i = 0; i < count; i++) {
		int fd = text_open(texts[i]);

		must(dup2(fd, 100 + (int)i) >= 0);
		close(fd);
	}
	for (unsigned i = 0; i < count; i++) {
		must(dup2(100 + (int)i, 3 + (int)i) >= 0);
		close(100 + (int)i);
	}
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%u", count);
	setenv("LISTEN_FDS", number, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	setenv("LISTEN_PIDFDID", "1", 1);
}

/*
 * Steps
 */

static const char *const parents[] = { "1", "2", "3", "4", "5", "6", "7" };

static void
parent_1(const struct carried *c)
{
	must(c->cause == CARRY_PARENT);
	must(takes("web", "1"));
	go_on(CARRY_CRASH, "SIGBUS");
}

/* What came is there again, by names that are not ours, too. */
static void
parent_2(const struct carried *c)
{
	int fd;

	must(c->cause == CARRY_CRASH);
	must(takes("web", "1"));
	must(takes("two words", "2"));
	must(takes("web", "3"));
	must(takes("supd-state", "4"));
	must(takes("web", "5"));
	must(takes("web", "6"));
	fd = carry_take("web");
	must(has_text(fd, "7"));                /* the fifth of a name */
	must(carry_take("web") == -1);
	carry_put("web", &fd, 1, true);
	carry_settle();
	go_on(CARRY_CRASH, "SIGBUS");
}

static void
parent_3(const struct carried *c)
{
	(void)c;
	must(takes("web", "7"));
	must(carry_take("supd-state") == -1);
}

static void
foreign_1(const struct carried *c)
{
	must(c->cause == CARRY_START);
	must(takes("unknown", "2"));
	must(takes("web", "1"));
	must(carry_take("unknown") == -1);
}

static void
told_1(const struct carried *c)
{
	(void)c;
	put("kept", "kept", true);
	put("lost", "lost", true);
	put("ours", "ours", false);
	go_on(CARRY_UPGRADE, "");
}

/* Nothing twice; and others by the same name are others. */
static void
told_2(const struct carried *c)
{
	int fd = carry_take("kept");

	must(c->cause == CARRY_UPGRADE);
	carry_put("kept", &fd, 1, true);
	carry_put("kept", &fd, 1, true);
	carry_settle();
	go_on(CARRY_CRASH, "");
}

static void
told_3(const struct carried *c)
{
	int fd = carry_take("kept");

	(void)c;
	carry_put("kept", &fd, 1, true);
	carry_settle();
}

static void
others_1(const struct carried *c)
{
	int fd = carry_take("supd-state");

	must(c->cause == CARRY_PARENT);
	carry_put("supd-state", &fd, 1, true);
	put("web", "another", true);
	carry_settle();
}

static const struct walk walks[] = {
	{ "parent", { parent_1, parent_2, parent_3 } },
	{ "foreign", { foreign_1 } },
	{ "told", { told_1, told_2, told_3 } },
	{ "others", { others_1 } },
	{ NULL, { NULL } },
};

static void
before_parent(void)
{
	come_from_parent("web:two words:web:supd-state:web:web:web", parents,
	    7);
}

static void
before_foreign(void)
{
	come_from_parent("web", parents, 2);
	setenv("LISTEN_FDS", "4", 1);
}

static void
before_others(void)
{
	come_from_parent("web:supd-state", parents, 2);
}

static void
test_parent(void **state)
{
	(void)state;
	run("parent", before_parent);
}

static void
test_foreign(void **state)
{
	(void)state;
	run("foreign", before_foreign);
}


static int
bind_server(void **state)
{
	(void)state;
	server = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
	    "supd-test-carry-%d", (int)getpid());
	snprintf(told, sizeof(told), "@%s", address.sun_path + 1);
	setenv("NOTIFY_SOCKET", told, 1);
	return bind(server, (struct sockaddr *)&address, (socklen_t)(offsetof(
	    struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1)));
}

static int
close_server(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	return close(server);
}

/* All messages: `+name` is stored, `-name` removed. */
static const char *
hear(void)
{
	char message[512], *name;
	size_t used = 0;
	ssize_t size;

	while ((size = recv(server, message, sizeof(message) - 1,
	    MSG_DONTWAIT)) > 0) {
		message[size] = '\0';
		name = strstr(message, "FDNAME=");
		assert_non_null(name);
		used += (size_t)snprintf(told + used, sizeof(told) - used,
		    "%c%s ", strstr(message, "REMOVE") != NULL ? '-' : '+',
		    name + strlen("FDNAME="));
	}
	told[used] = '\0';
	return told;
}

/* The last step is one after a crash: who knows what was heard. */
static void
test_told(void **state)
{
	(void)state;
	run("told", NULL);
	assert_string_equal(hear(), "+kept +lost -kept +kept -lost +kept ");
}

static void
test_others(void **state)
{
	(void)state;
	run("others", before_others);
	assert_string_equal(hear(), "-web +web ");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parent),
		cmocka_unit_test(test_foreign),
		cmocka_unit_test_setup_teardown(test_told, bind_server,
		    close_server),
		cmocka_unit_test_setup_teardown(test_others, bind_server,
		    close_server),
	};

	walk_on(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
