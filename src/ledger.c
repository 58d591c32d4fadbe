/*
 * The ledger: what is appended, what waits, what is looked up.
 *
 * The file is opened for each append, so that a rotated, remounted or removed
 * one needs no attention.  A line is one write(2) with its newline; where the
 * file does not end with one (a crash, a full disk) a newline goes first, so
 * that a fragment spoils nothing but itself.  The file is never shortened.
 *
 * The write and its fdatasync(2) block the loop.  That is accepted: it comes
 * once per rollout, what is promised to be remembered has to be on disk, and
 * workers serve meanwhile.  What cannot be written waits in memory, is found by
 * readers like all else, and goes out with the next append.
 */
#include "ledger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bounds.h"
#include "fd.h"
#include "ledger_cursor.h"

#define FILE_NAME "deployments.jsonl"

static struct {
	char *directory;
	char *path;             /* NULL: without memory, or not open */
	char *pending[LEDGER_PENDING_MAX];      /* oldest first */
	size_t pending_count;
	size_t lost_count;      /* since the last success */
	char error[REASON_BYTES_MAX];
} ledger;

static void
say(int error)
{
	char lost[64] = "";

	if (ledger.lost_count > 0)
		snprintf(lost, sizeof(lost), ", %zu are lost",
		    ledger.lost_count);
	snprintf(ledger.error, sizeof(ledger.error), "cannot write '%s': %s; "
	    "deployments that wait to be written with the next one: %zu%s",
	    ledger.path != NULL ? ledger.path : FILE_NAME, strerror(-error),
	    ledger.pending_count, lost);
}

/* A new user has none of those above ~/.local/state/supd. */
static int
make_directories(void)
{
	char *slash = ledger.directory;

	if (mkdir(ledger.directory, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	while ((slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		(void)mkdir(ledger.directory, 0755);
		*slash = '/';
	}
	return mkdir(ledger.directory, 0755) < 0 && errno != EEXIST ? -errno :
	    0;
}

/* The entry of a new file has to survive a crash like what is in it. */
static int
sync_directory(void)
{
	int fd, error = 0;

	fd = open(ledger.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		error = -errno;
	fd_close(fd);
	return error;
}

/* The fd of the file, made if it is not there, or -errno.  *ret_newline:
 * what it has does not end with one. */
static int
open_file(bool *ret_newline)
{
	struct stat status;
	char last = '\n';
	int error = make_directories(), fd;

	if (error < 0)
		return error;
	fd = open(ledger.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC |
	    O_NOCTTY | O_NONBLOCK, 0644);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &status) < 0)
		error = -errno;
	else if (!S_ISREG(status.st_mode))
		error = -EINVAL;
	else if (status.st_size == 0)
		error = sync_directory();
	else if (pread(fd, &last, 1, status.st_size - 1) < 0)
		error = -errno;
	if (error < 0) {
		fd_close(fd);
		return error;
	}
	*ret_newline = last != '\n';
	return fd;
}

/* Appends one line.  A missing newline is the next one's to write. */
static int
write_line(int fd, const char *json, bool newline_first)
{
	size_t size_bytes = strlen(json) + newline_first, done = 0;
	ssize_t count;
	char *line;
	int error = 0;

	if (asprintf(&line, "%s%s\n", newline_first ? "\n" : "", json) < 0)
		return -ENOMEM;
	while (done < size_bytes && error == 0) {
		count = write(fd, line + done, size_bytes + 1 - done);
		if (count > 0)
			done += (size_t)count;
		else if (count == 0 || errno != EINTR)
			error = count == 0 ? -ENOSPC : -errno;
	}
	free(line);
	return error;
}

static void
drop_oldest(void)
{
	free(ledger.pending[0]);
	ledger.pending_count--;
	memmove(ledger.pending, ledger.pending + 1,
	    ledger.pending_count * sizeof(ledger.pending[0]));
}

/*
 * Writes what waits and syncs it.  A line whose sync fails is not written
 * again: it is in the file, and the kernel does not try a second time either.
 */
static int
write_pending(void)
{
	bool newline_first = false;
	int error = 0, fd;

	if (ledger.path == NULL)
		return -ENOMEM;
	fd = open_file(&newline_first);
	if (fd < 0)
		return fd;
	while (error == 0 && ledger.pending_count > 0) {
		error = write_line(fd, ledger.pending[0], newline_first);
		newline_first = false;
		if (error == 0)
			drop_oldest();
	}
	if (fdatasync(fd) < 0 && error == 0)
		error = -errno;
	fd_close(fd);
	return error;
}

static void
try_to_write(void)
{
	int error = write_pending();

	if (error < 0) {
		say(error);
	} else {
		ledger.lost_count = 0;
		ledger.error[0] = '\0';
	}
}

/* Newest first: what waits in memory, then the file. */
struct search {
	const char *service;    /* NULL: any */
	size_t pending_left;
	bool has_file;
	struct ledger_cursor file;
};

static void
search_begin(struct search *search, const char *service)
{
	search->service = service;
	search->pending_left = ledger.pending_count;
	search->has_file = ledger.path != NULL &&
	    ledger_cursor_open(&search->file, ledger.path,
	    LEDGER_SEARCH_BYTES_MAX) == 0;
}

static void
search_end(struct search *search)
{
	if (search->has_file)
		ledger_cursor_close(&search->file);
}

static bool
next_line(struct search *search, const char **ret_line, size_t *ret_size_bytes)
{
	if (search->pending_left > 0) {
		*ret_line = ledger.pending[--search->pending_left];
		*ret_size_bytes = strlen(*ret_line);
		return true;
	}
	return search->has_file &&
	    ledger_cursor_next(&search->file, ret_line, ret_size_bytes);
}

/* The record in a line, if it is one that is looked for, else NULL. */
static json_t *
match(const struct search *search, const char *line, size_t size_bytes)
{
	const char *service;
	json_t *record;

	/* Parsing is slow, and most lines are of other services. */
	if (search->service != NULL && memmem(line, size_bytes,
	    search->service, strlen(search->service)) == NULL)
		return NULL;
	record = json_loadb(line, size_bytes, 0, NULL);
	if (!json_is_object(record)) {
		json_decref(record);
		return NULL;
	}
	service = json_string_value(json_object_get(record, "service"));
	if (search->service != NULL &&
	    (service == NULL || strcmp(service, search->service) != 0)) {
		json_decref(record);
		return NULL;
	}
	return record;
}

/* The next record, with its line as it was written; NULL: no more. */
static json_t *
search_next(struct search *search, const char **ret_line,
    size_t *ret_size_bytes)
{
	json_t *record;

	while (next_line(search, ret_line, ret_size_bytes)) {
		record = match(search, *ret_line, *ret_size_bytes);
		if (record != NULL)
			return record;
	}
	return NULL;
}

/* 0 if it has none, or one that is none. */
static uint32_t
revision_of(const json_t *record)
{
	json_int_t revision =
	    json_integer_value(json_object_get(record, "revision"));

	return revision > 0 && revision <= UINT32_MAX ? (uint32_t)revision : 0;
}

static uint64_t
fingerprint_of(const json_t *record)
{
	const char *text =
	    json_string_value(json_object_get(record, "fingerprint"));

	if (text == NULL || strlen(text) != 16 ||
	    strspn(text, "0123456789abcdef") != 16)
		return 0;
	return strtoull(text, NULL, 16);
}

static bool
is_complete(const json_t *record)
{
	const char *verdict =
	    json_string_value(json_object_get(record, "verdict"));

	return verdict != NULL && strcmp(verdict, "complete") == 0;
}

/* Of one service: do they tell of the same deployment, and the same of it? */
static bool
is_same(const json_t *a, const json_t *b)
{
	static const char *const members[] = {
		"id", "revision", "started_time_s", "verdict",
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		if (!json_equal(json_object_get(a, members[i]),
		    json_object_get(b, members[i])))
			return false;
	return true;
}

void
ledger_open(const char *state_dir)
{
	assert(ledger.directory == NULL);
	memset(&ledger, 0, sizeof(ledger));
	ledger.directory = strdup(state_dir);
	if (ledger.directory == NULL ||
	    asprintf(&ledger.path, "%s/%s", state_dir, FILE_NAME) < 0)
		ledger.path = NULL;
	try_to_write();
}

void
ledger_close(void)
{
	if (ledger.pending_count > 0)
		try_to_write();
	while (ledger.pending_count > 0)
		drop_oldest();
	free(ledger.path);
	free(ledger.directory);
	memset(&ledger, 0, sizeof(ledger));
}

void
ledger_append(const char *json)
{
	char *line = strdup(json);

	assert(strchr(json, '\n') == NULL);
	if (ledger.pending_count == LEDGER_PENDING_MAX) {
		drop_oldest();
		ledger.lost_count++;
	}
	if (line == NULL) {
		ledger.lost_count++;
		say(-ENOMEM);
		return;
	}
	ledger.pending[ledger.pending_count++] = line;
	try_to_write();
}

bool
ledger_has(const char *json)
{
	json_t *wanted = json_loads(json, 0, NULL), *record;
	const char *service =
	    json_string_value(json_object_get(wanted, "service")), *line;
	struct search search;
	size_t count = 0, size_bytes;
	bool found = false;

	assert(wanted == NULL || service != NULL);
	if (wanted == NULL)             /* no memory */
		return false;
	search_begin(&search, service);
	while (!found && count < HISTORY_LINES_MAX &&
	    (record = search_next(&search, &line, &size_bytes)) != NULL) {
		found = is_same(record, wanted);
		json_decref(record);
		count++;
	}
	search_end(&search);
	json_decref(wanted);
	return found;
}

json_t *
ledger_save(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ledger.pending_count; i++)
		(void)json_array_append_new(list,
		    json_string(ledger.pending[i]));
	return list;
}

static bool
is_line(const char *text)
{
	json_t *record = text != NULL && strchr(text, '\n') == NULL ?
	    json_loads(text, 0, NULL) : NULL;
	bool is = json_is_string(json_object_get(record, "service"));

	json_decref(record);
	return is;
}

void
ledger_restore(const json_t *list)
{
	const json_t *line;
	size_t i;

	json_array_foreach(list, i, line) {
		const char *text = json_string_value(line);

		if (is_line(text) && !ledger_has(text))
			ledger_append(text);
	}
}

const char *
ledger_error(void)
{
	return ledger.error[0] != '\0' ? ledger.error : NULL;
}

size_t
ledger_read(const char *service, int64_t before_s, size_t limit,
    char ***ret_lines)
{
	struct search search;
	const char *line;
	size_t count = 0, size_bytes;
	json_t *record;
	char **lines;
	bool late;

	if (limit > HISTORY_LINES_MAX)
		limit = HISTORY_LINES_MAX;
	lines = calloc(limit + 1, sizeof(lines[0]));
	*ret_lines = lines;
	if (lines == NULL)
		return 0;
	search_begin(&search, service);
	while (count < limit &&
	    (record = search_next(&search, &line, &size_bytes)) != NULL) {
		late = before_s != 0 && json_integer_value(json_object_get(
		    record, "finished_time_s")) > before_s;
		json_decref(record);
		if (late)
			continue;
		lines[count] = strndup(line, size_bytes);
		if (lines[count] == NULL)
			break;
		count++;
	}
	search_end(&search);
	return count;
}

void
ledger_past(const char *service, uint32_t *ret_revision_last,
    uint32_t *ret_revision_good, uint64_t *ret_fingerprint_good)
{
	struct search search;
	const char *line;
	size_t count = 0, size_bytes;
	json_t *record;
	uint32_t revision;

	*ret_revision_last = *ret_revision_good = 0;
	*ret_fingerprint_good = 0;
	search_begin(&search, service);
	/* An undo has a lower revision than what came before it. */
	while ((count < HISTORY_LINES_MAX || *ret_revision_good == 0) &&
	    (record = search_next(&search, &line, &size_bytes)) != NULL) {
		revision = revision_of(record);
		if (revision > *ret_revision_last)
			*ret_revision_last = revision;
		if (*ret_revision_good == 0 && revision > 0 &&
		    is_complete(record)) {
			*ret_revision_good = revision;
			*ret_fingerprint_good = fingerprint_of(record);
		}
		json_decref(record);
		count++;
	}
	search_end(&search);
}
