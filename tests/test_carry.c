/*
 * What is carried from one program to the next: names, the way back, limits, and
 * a manifest that is damaged or for somebody else.
 */
#include "carry_fixture.h"

enum { HEAD_BYTES = 128 };

/*
 * Names
 */

/* Does a walk over what came tell this name? */
static bool
is_told(const char *name)
{
	uint32_t cursor = 0;
	const char *told;

	while ((told = carry_next(&cursor)) != NULL)
		if (strcmp(told, name) == 0)
			return true;
	return false;
}

static void
names_1(const struct carried *c)
{
	int fds[] = { text_open("a1"), text_open("a2"), text_open("a3") };

	must(c->cause == CARRY_START);
	carry_put("a", fds, 3, false);
	put("replaced", "old", false);
	put("replaced", "new", false);
	put("dropped", "d", false);
	carry_drop("dropped");
	carry_drop("unknown");
	go_on(CARRY_CRASH, "SIGSEGV, with blanks");
}

static void
names_2(const struct carried *c)
{
	int fd;

	must(c->cause == CARRY_CRASH && c->began_ms == 1234567890123);
	must(strcmp(c->detail, "SIGSEGV, with blanks") == 0);
	must(is_told("replaced"));
	must(!is_told("dropped"));
	must(takes("a", "a1"));
	must(takes("a", "a2"));
	must(is_told("a"));
	must(takes("a", "a3"));
	must(carry_take("a") == -1);
	must(!is_told("a"));
	fd = carry_take("replaced");
	must(has_text(fd, "new"));
	carry_put("replaced", &fd, 1, false);
	put("a", "another", false);
	must(carry_take("a") == -1);            /* what is put did not come */
	carry_settle();
	go_on(CARRY_UPGRADE, "");
}

static void
names_3(const struct carried *c)
{
	must(c->cause == CARRY_UPGRADE && c->detail[0] == '\0');
	must(takes("replaced", "new"));
	must(takes("a", "another"));
	must(carry_take("a") == -1);
}

enum { WALKED_COUNT = 20 };

static void
walked_1(const struct carried *c)
{
	int fds[] = { text_open("x"), text_open("x") };
	char name[16];

	(void)c;
	for (unsigned i = 0; i < WALKED_COUNT; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		carry_put(name, fds, 2, false);
	}
	go_on(CARRY_UPGRADE, "");
}

/* All are told, in order, whatever is taken, put and dropped on the way. */
static void
walked_2(const struct carried *c)
{
	uint32_t cursor = 0;
	char name[16];
	const char *told;

	(void)c;
	for (unsigned i = 0; i < WALKED_COUNT; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		told = carry_next(&cursor);
		must(told != NULL && strcmp(told, name) == 0);
		must(takes(told, "x"));
		put("p", "p", false);
		put(name, "p", false);
		must(i % 2 == 0 || takes(told, "x"));
		carry_drop("p");
	}
	must(carry_next(&cursor) == NULL);
	must(is_told("n0") && !is_told("n1") && !is_told("p"));
}

/*
 * Before it is settled
 */

static void
unsettled_1(const struct carried *c)
{
	(void)c;
	put("a", "a", false);
	put("b", "b", false);
	go_on(CARRY_UPGRADE, "0.9");
}

static void
unsettled_2(const struct carried *c)
{
	must(c->cause == CARRY_UPGRADE);
	must(takes("a", "a"));
	put("a", "not that", false);
	put("c", "c", false);
	go_on(CARRY_RETURN, "SIGABRT");
}

static void
unsettled_3(const struct carried *c)
{
	must(c->cause == CARRY_RETURN);
	must(strcmp(c->detail, "SIGABRT") == 0);
	must(takes("a", "a"));
	must(takes("b", "b"));
	must(carry_take("c") == -1);
}

/*
 * Limits and damage
 */

static void
full_1(const struct carried *c)
{
	int fd = text_open("a");
	char name[16];

	(void)c;
	for (unsigned i = 0; i < CARRY_NAMES_MAX + 10; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		carry_put(name, &fd, 1, false);
	}
	for (unsigned i = 1; i < CARRY_NAMES_MAX - 2; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		carry_drop(name);
	}
	carry_put("there is room", &fd, 1, false);
	go_on(CARRY_CRASH, "");
}

static void
full_2(const struct carried *c)
{
	(void)c;
	must(takes("n0", "a"));
	must(takes("there is room", "a"));
	must(takes("n65534", "a"));             /* the last one that fitted */
	must(carry_take("n65533") == -1 && carry_take("n65535") == -1);
}

/* Without room for doubles all is there, but for a way back. */
static void
few_1(const struct carried *c)
{
	const struct rlimit few = { 20, 20 };

	(void)c;
	for (unsigned i = 0; i < 8; i++)
		put((const char[]){ (char)('a' + i), '\0' }, "x", false);
	must(setrlimit(RLIMIT_NOFILE, &few) == 0);
	go_on(CARRY_UPGRADE, "");
}

static void
few_2(const struct carried *c)
{
	char name[] = "a";

	(void)c;
	for (; *name <= 'h'; (*name)++)
		must(takes(name, "x"));
}

static void
announce_manifest(pid_t pid, const char *body)
{
	char head[HEAD_BYTES + 1], value[64];
	int fd = memfd_create("manifest", MFD_CLOEXEC);

	snprintf(head, sizeof(head), "%-*s", HEAD_BYTES, "crash 17 why");
	must(write(fd, head, HEAD_BYTES) == HEAD_BYTES);
	must(write(fd, body, strlen(body)) == (ssize_t)strlen(body));
	snprintf(value, sizeof(value), "%d:%d", (int)pid, fd);
	setenv("SUPD_CARRY", value, 1);
}

static void
damaged_1(const struct carried *c)
{
	uint32_t cursor = 0;

	must(c->cause == CARRY_CRASH && c->began_ms == 17);
	must(takes("good", "good"));
	must(carry_next(&cursor) == NULL);
	must(fcntl(STDIN_FILENO, F_GETFD) == 0);
	carry_settle();
	must(fcntl(STDIN_FILENO, F_GETFD) == 0);
}

static void
stranger_1(const struct carried *c)
{
	must(c->cause == CARRY_START);
	must(carry_take("a") == -1);
}

static const struct walk walks[] = {
	{ "names", { names_1, names_2, names_3 } },
	{ "walked", { walked_1, walked_2 } },
	{ "unsettled", { unsettled_1, unsettled_2, unsettled_3 } },
	{ "full", { full_1, full_2 } },
	{ "few", { few_1, few_2 } },
	{ "damaged", { damaged_1 } },
	{ "stranger", { stranger_1 } },
	{ NULL, { NULL } },
};

static void
before_damaged(void)
{
	char body[512];
	int fd = text_open("good");

	snprintf(body, sizeof(body), "a\tb\nb\t0\nc\t-1\nd\t99999999999999\n"
	    "\n\t\t\n+\ngood\t%d\nname that ends\t", fd);
	announce_manifest(getpid(), body);
}

static void
before_stranger(void)
{
	char body[64];

	snprintf(body, sizeof(body), "a\t%d\n", text_open("a"));
	announce_manifest(getppid(), body);
}

static void
test_names(void **state)
{
	(void)state;
	run("names", NULL);
	run("walked", NULL);
}

static void
test_kinds(void **state)
{
	static const char *const ours[] = {
		"w3.17", "u1234", "p3.17", "r12", "s7", "o2", "t5", "f7",
		"h3.17.w", NULL,
	};
	static const char *const others[] = {
		"", "s", "supd", "w.3", "web.socket", "x7", "7", "S7", "s/7",
		"s:", " s7", NULL,
	};

	(void)state;
	for (const char *const *name = ours; *name != NULL; name++)
		assert_int_equal(carry_kind(*name), **name);
	assert_int_equal(carry_kind("supd-state"), '-');
	for (const char *const *name = others; *name != NULL; name++)
		assert_int_equal(carry_kind(*name), '\0');
}

static void
test_unsettled(void **state)
{
	(void)state;
	run("unsettled", NULL);
}

static void
test_limits(void **state)
{
	(void)state;
	run("full", NULL);
	run("few", NULL);
}

static void
test_damaged(void **state)
{
	(void)state;
	run("damaged", before_damaged);
	run("stranger", before_stranger);
}

static void
test_no_manifest(void **state)
{
	struct carried carried;
	char value[64];

	(void)state;
	snprintf(value, sizeof(value), "%d:%d", (int)getpid(),
	    memfd_create("empty", MFD_CLOEXEC));
	setenv("SUPD_CARRY", value, 1);
	assert_int_equal(carry_init(&carried), -EBADMSG);
	assert_null(getenv("SUPD_CARRY"));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_unsettled),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_no_manifest),
	};

	walk_on(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
