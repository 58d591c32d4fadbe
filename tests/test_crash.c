/*
 * A crash, in processes of their own: what is executed again, and what is not.
 */
#include "carry_fixture.h"

#include <signal.h>

#include "crash.h"
#include "log.h"

static void
prepare(const struct carried *carried)
{
	static char number[16];
	static char *argv[] = { NULL, NULL, number, NULL };

	argv[0] = argv[1] = (char *)(uintptr_t)walk->name;
	snprintf(number, sizeof(number), "%u", step + 1);
	must(crash_init(argv, carried) == 0);
	must(crash_program() >= 0);
}

static void
twice_1(const struct carried *c)
{
	prepare(c);
	put("a", "a", false);
	(void)raise(SIGFPE);
}

/* The one before was in a handler, and its signal is not blocked. */
static void
twice_2(const struct carried *c)
{
	must(c->cause == CARRY_CRASH && strcmp(c->detail, "SIGFPE") == 0);
	must(takes("a", "a"));
	prepare(&(struct carried){ .cause = CARRY_CRASH, .began_ms = 0 });
	put("b", "b", false);
	carry_settle();
	(void)raise(SIGFPE);
}

static void
twice_3(const struct carried *c)
{
	must(c->cause == CARRY_CRASH);
	must(takes("b", "b"));
	prepare(c);
	(void)raise(SIGABRT);           /* within 10 s */
}

/* Who follows such a stack crashes as well, by the same signal. */
static void
damaged_1(const struct carried *c)
{
	prepare(c);
	put("a", "a", false);
#ifdef __x86_64__
	__asm__ volatile("mov $16, %rsp\n\tmov %rsp, %rbp\n\tpush %rax");
#else
	(void)raise(SIGSEGV);
#endif
}

static void
damaged_2(const struct carried *c)
{
	must(c->cause == CARRY_CRASH);
	must(takes("a", "a"));
}

/* An upgrade that fails goes back, and says so. */
static void
back_1(const struct carried *c)
{
	prepare(c);
	crash_return("there is nothing to go back to");
	crash_return_to(open("/proc/self/exe", O_PATH | O_CLOEXEC));
	put("a", "a", false);
	crash_return("it is no good");
}

static void
back_2(const struct carried *c)
{
	must(c->cause == CARRY_RETURN);
	must(strcmp(c->detail, "it is no good") == 0);
	must(takes("a", "a"));
	prepare(c);
	crash_return_to(open("/proc/self/exe", O_PATH | O_CLOEXEC));
	crash_return_to(-1);
	(void)raise(SIGBUS);
}

static void
back_3(const struct carried *c)
{
	must(c->cause == CARRY_CRASH && strcmp(c->detail, "SIGBUS") == 0);
}

/* Not this process, but one that has its memory. */
static void
child_1(const struct carried *c)
{
	int status;
	pid_t pid;

	prepare(c);
	pid = fork();
	must(pid >= 0);
	if (pid == 0)
		(void)raise(SIGSEGV);
	must(waitpid(pid, &status, 0) == pid);
	must(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void
child_2(const struct carried *c)
{
	(void)c;
	must(!"the child was executed again");
}

static const struct walk walks[] = {
	{ "twice", { twice_1, twice_2, twice_3 } },
	{ "damaged", { damaged_1, damaged_2 } },
	{ "back", { back_1, back_2, back_3 } },
	{ "child", { child_1, child_2 } },
	{ NULL, { NULL } },
};

static void
before(void)
{
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	log_init("supd", LOG_NOTICE);
}

static void
test_twice(void **state)
{
	(void)state;
	run_until("twice", before, SIGABRT);
}

static void
test_damaged(void **state)
{
	(void)state;
	run("damaged", before);
}

static void
test_back(void **state)
{
	(void)state;
	run("back", before);
}

static void
test_child(void **state)
{
	(void)state;
	run("child", before);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_child),
	};

	walk_on(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
