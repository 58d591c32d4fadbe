/*
 * What pin.c is put together from; for the files pin*.c only.
 *
 * Where there is a ret_text (REASON_BYTES_MAX), a failure leaves a sentence.
 */
#ifndef SUPD_PIN_PARTS_H
#define SUPD_PIN_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "release.h"

/*
 * True if the file is an ELF object of any kind; its build-id goes into the
 * identity if it has one that can be read.  Any bytes are safe.
 */
bool pin_elf_read(int fd, struct identity *ret_identity);

/* Its fds outlive supd from now on, under a number of its own; until they are
 * closed. */
void pin_keep(struct release *);
void pin_forget(const struct release *);

/* Who a release's workers run as. */
struct account {
	struct credentials credentials;
	char *name, *home, *shell;      /* of `user`; NULL if it is not set */
};

/* Asks NSS for `user` and `group`.  0 or -errno. */
int pin_account_find(const struct spec *, struct account *ret_account,
    char *ret_text);
void pin_account_release(struct account *);

/*
 * The environment of a release's workers but for their own variables: what
 * supd was started with, the account's, environment_file (read relative to
 * directory_fd), environment, PWD.  NULL on failure.  *hash goes on with what
 * the configuration says, not with what was inherited: a supd that was started
 * again by other hands has not changed the release.
 */
char **pin_environment_make(const struct release *, const struct account *,
    uint64_t *hash, char *ret_text);
char **pin_environment_copy(char *const *environment);
void pin_environment_free(char **environment);       /* NULL is fine */

/*
 * Fills in release->fingerprint from `hash`, which is of what the configuration
 * says about the environment.  0 or -errno, and no sentence.
 */
int pin_fingerprint(struct release *, uint64_t hash);

/* The length of a list that NULL ends; 0 for no list. */
size_t pin_list_length(char *const *list);

/* The value of a variable, or NULL. */
const char *pin_environment_value(char *const *environment, const char *name);

#endif
