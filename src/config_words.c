/*
 * Words of a value, see config_words.h.
 *
 * One scanner serves two passes: the first measures, the second writes into a
 * block of exactly that size, pointers in front of the bytes.  A release keeps
 * its lists for as long as it lives, so they are one small block each.
 */
#include "config_words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"

struct scan {
	const char *next;
	char quote;             /* the one that is open, or 0 */
	bool escaped;           /* after a backslash */
	bool in_word;
	bool was_quoted;        /* any of the current word */
	const char *word;       /* where it began */
	size_t word_count;
	size_t byte_count;      /* with the NUL of each word that ended */
	char **words;           /* NULL: only measure */
	char *bytes;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* In "…" a backslash quotes only these, as in a shell. */
static bool
is_special_in_double(char c)
{
	return c != '\0' && strchr("$`\"\\", c) != NULL;
}

static void
put(struct scan *s, char c)
{
	if (s->words != NULL)
		s->bytes[s->byte_count] = c;
	s->byte_count++;
}

static void
begin_word(struct scan *s)
{
	if (s->in_word)
		return;
	s->in_word = true;
	s->was_quoted = false;
	s->word = s->next;
	if (s->words != NULL)
		s->words[s->word_count] = s->bytes + s->byte_count;
}

static void
take_quoted(struct scan *s, char c)
{
	if (c == s->quote)
		s->quote = '\0';
	else if (s->quote == '"' && c == '\\' &&
	    (s->next[1] == '\0' || is_special_in_double(s->next[1])))
		s->escaped = true;
	else
		put(s, c);
}

static void
take_plain(struct scan *s, char c)
{
	begin_word(s);
	if (c == '\'' || c == '"' || c == '\\')
		s->was_quoted = true;
	if (c == '\'' || c == '"')
		s->quote = c;
	else if (c == '\\')
		s->escaped = true;
	else
		put(s, c);
}

/* Scans to the end of the next word; false if there is no further one. */
static bool
scan_word(struct scan *s)
{
	for (; *s->next != '\0'; s->next++) {
		char c = *s->next;

		if (s->escaped) {
			s->escaped = false;
			put(s, c);
		} else if (s->quote != '\0') {
			take_quoted(s, c);
		} else if (!is_blank(c)) {
			take_plain(s, c);
		} else if (s->in_word) {
			break;
		}
	}
	if (!s->in_word)
		return false;
	put(s, '\0');
	s->in_word = false;
	s->word_count++;
	return true;
}

/* Would a shell have done something with the word that just ended? */
static bool
is_for_shell(const struct scan *s)
{
	size_t length = (size_t)(s->next - s->word);

	if (s->was_quoted)
		return false;
	return *s->word == '#' || strspn(s->word, "&|<>;") >= length;
}

static int
measure(struct scan *s, size_t count_max, char *ret_text)
{
	while (scan_word(s)) {
		if (is_for_shell(s)) {
			(void)snprintf(ret_text, REASON_BYTES_MAX,
			    "an unquoted \"%.*s\" would need a shell, and there"
			    " is none; quote it if it is meant as a word",
			    s->next - s->word > 40 ? 40 :
			    (int)(s->next - s->word), s->word);
			return -EINVAL;
		}
		if (s->word_count > count_max) {
			(void)snprintf(ret_text, REASON_BYTES_MAX,
			    "must have at most %zu words", count_max);
			return -EINVAL;
		}
	}
	if (s->quote != '\0') {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "the quote %c is not closed", s->quote);
		return -EINVAL;
	}
	if (s->escaped) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "nothing follows the backslash");
		return -EINVAL;
	}
	return 0;
}

int
config_words_split(const char *text, size_t count_max, char ***ret_words,
    char *ret_text)
{
	struct scan s = { .next = text };
	char **words;
	int result = measure(&s, count_max, ret_text);

	if (result < 0)
		return result;
	words = malloc((s.word_count + 1) * sizeof(*words) + s.byte_count);
	if (words == NULL)
		return -ENOMEM;
	s = (struct scan){
		.next = text,
		.words = words,
		.bytes = (char *)(words + s.word_count + 1),
	};
	while (scan_word(&s))
		continue;
	words[s.word_count] = NULL;
	*ret_words = words;
	return 0;
}

char **
config_words_pack(const char *const *words, size_t count)
{
	size_t byte_count = 0;
	char **list;
	char *bytes;

	for (size_t i = 0; i < count; i++)
		byte_count += strlen(words[i]) + 1;
	list = malloc((count + 1) * sizeof(*list) + byte_count);
	if (list == NULL)
		return NULL;
	bytes = (char *)(list + count + 1);
	for (size_t i = 0; i < count; i++) {
		list[i] = bytes;
		bytes = stpcpy(bytes, words[i]) + 1;
	}
	list[count] = NULL;
	return list;
}

char
config_words_open(const char *text)
{
	struct scan s = { .next = text };

	while (scan_word(&s))
		continue;
	return s.escaped ? '\\' : s.quote;
}
