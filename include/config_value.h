/*
 * Values of options: from text to the fields of spec.h.
 *
 * Pure.  What is wrong is said in ret_text (REASON_BYTES_MAX) as the rest of a
 * sentence that begins with the key: `must be yes or no, not "maybe"`.
 */
#ifndef SUPD_CONFIG_VALUE_H
#define SUPD_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config_table.h"
#include "spec.h"

enum { CONFIG_DURATION_BYTES = 24 };

/*
 * Stores what `text` says in the key's field of `object`, which owns it then.
 * The field must be empty (NULL) before.  0, -ENOMEM, or -EINVAL and ret_text.
 */
int config_value_parse(const struct config_key *, const char *text,
    void *object, char *ret_text);

/* Is it a name that a service or listener may have?  0 or -EINVAL. */
int config_name_check(const char *name, char *ret_text);

/*
 * IPV4:PORT or [IPV6]:PORT, and unix:/PATH unless it must be TCP.  0 or
 * -EINVAL.
 */
int config_address_parse(const char *text, bool tcp,
    struct address *ret_address, char *ret_text);

/* An absolute path; as config_value_parse(). */
int config_path_parse(const struct config_key *, const char *text,
    char **ret_path, char *ret_text);

/*
 * A number and a unit.  `also` is what the message offers besides, as
 * "off or ".  0, or -EINVAL and ret_text.
 */
int config_duration_parse(const char *also, uint64_t min_ms, uint64_t max_ms,
    const char *text, uint64_t *ret_ms, char *ret_text);

/* Lists, in config_list.c; as config_value_parse(). */
int config_command_parse(const struct config_key *, const char *text,
    char ***ret_argv, char *ret_text);
int config_list_parse(const struct config_key *, const char *text,
    char ***ret_list, char *ret_text);
int config_exits_parse(const struct config_key *, const char *text,
    struct exit_set *ret_set, char *ret_text);

/* Values whose first word says what the rest is, in config_form.c. */
int config_ready_parse(const struct config_key *, const char *text,
    struct spec *, char *ret_text);
int config_version_parse(const struct config_key *, const char *text,
    struct spec *, char *ret_text);
int config_probe_parse(const char *text, struct spec *, char *ret_text);

/* Numbers of their own spelling, in config_steps.c. */
int config_steps_parse(const char *text, struct spec *, char *ret_text);
int config_statuses_parse(const struct config_key *, const char *text,
    struct spec *, char *ret_text);

/* May it be the first word of a command: absolute, or to look for in PATH? */
bool config_is_program(const char *word);

/* Decimal digits up to *ret_end.  0, or -EINVAL also for what does not fit. */
int config_digits_parse(const char *text, const char **ret_end,
    uint64_t *ret_value);

/* All of `text` is a number from min to max.  0 or -EINVAL. */
int config_number_parse(const char *text, uint64_t min, uint64_t max,
    uint64_t *ret_value);

/* TERM or SIGTERM; 0 if there is none of that name. */
int config_signal_number(const char *name);

/* Writes the message and returns -EINVAL. */
int config_refuse(char *ret_text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The shortest exact spelling, as `90s` or `2h`. */
void config_duration_text(uint64_t duration_ms,
    char ret_text[CONFIG_DURATION_BYTES]);

#endif
