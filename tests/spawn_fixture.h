/*
 * A scratch directory, files in it, and a spec that names them: for the tests
 * of pin and spawn.  Everything here ends the test if it fails.
 */
#ifndef SUPD_SPAWN_FIXTURE_H
#define SUPD_SPAWN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>

#include "release.h"

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

/* Open fds of this process. */
unsigned fixture_fd_count(void);

#endif
