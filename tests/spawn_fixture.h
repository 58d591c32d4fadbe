/*
 * A scratch directory, files in it, and a spec that names them: for the tests
 * of pin and spawn.  Everything here ends the test if it fails.
 */
#ifndef SUPD_SPAWN_FIXTURE_H
#define SUPD_SPAWN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "release.h"
#include "spawn.h"

enum {
	FIXTURE_REPORT_BYTES_MAX = 65536,
	FIXTURE_FILES_LIMIT = 256,      /* the soft one that supd starts with */
	FIXTURE_EXIT_SKIPPED = 77,      /* as automake has it */
};

/* A fresh directory before each test, removed after it; cmocka's shape. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* The resolved directory, and a name in it; good for eight calls. */
const char *fixture_directory(void);
const char *fixture_path(const char *name);

/* A program built beside the test. */
const char *fixture_program(const char *name);

/* Copies a program to a new file, mode 0755, and renames it to `name`. */
void fixture_install(const char *from, const char *name);

/* Writes a file in place. */
void fixture_write(const char *name, const char *text, mode_t mode);

/* A spec with this command; never freed, since the test holds a reference. */
struct spec fixture_spec(char **argv);

/* pin_release() that must succeed. */
struct release *fixture_pin(struct spec *);

/* Makes the directory `name` with bin/probe in it. */
void fixture_release(const char *name);

/* The path of the one called r1, as a working directory. */
char *fixture_r1(void);

/* pin_release() that must fail, with these words. */
void fixture_refused(struct spec *, const char *words);

/* A variable of the release's environment, or NULL. */
const char *fixture_variable(const struct release *, const char *name);

/* Open fds of this process. */
unsigned fixture_fd_count(void);

/* As somebody starts supd: some signals ignored or blocked, one handled, an
 * input that is not /dev/null; then spawn_init().  cmocka's shape. */
int fixture_start_supd(void **state);

/* Installs probe_child as `probe` and pins it. */
struct release *fixture_pin_probe(struct spec *);

/* Slot 7, no listeners. */
struct launch fixture_launch(const struct release *);

/* Starts it, waits for it, keeps what it wrote; its exit status as in a shell. */
int fixture_run(const struct launch *);
extern char fixture_report[FIXTURE_REPORT_BYTES_MAX];

/* valgrind knows no clone() with our flags. */
bool fixture_under_valgrind(void);

#endif
