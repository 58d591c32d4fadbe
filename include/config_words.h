/*
 * Splitting a value into words as a shell does: blanks separate, '…', "…" and
 * a backslash quote.  Nothing is expanded, and no shell is run: what only a
 * shell could do (an unquoted `>`, `|`, `&`, or `#` before a word) is refused
 * instead of being handed to the program.
 */
#ifndef SUPD_CONFIG_WORDS_H
#define SUPD_CONFIG_WORDS_H

#include <stddef.h>

/*
 * The words of `text`, NULL at the end, as one block for free().  0, -ENOMEM,
 * or -EINVAL with the reason in ret_text (REASON_BYTES_MAX), also if there are
 * more than count_max.
 */
int config_words_split(const char *text, size_t count_max, char ***ret_words,
    char *ret_text);

/* A block of its own with copies of `count` words.  NULL: no memory. */
char **config_words_pack(const char *const *words, size_t count);

/*
 * What is still open where `text` ends: '\'' or '"' inside such a quote, '\\'
 * after a backslash that quotes nothing, else 0.
 */
char config_words_open(const char *text);

#endif
