/*
 * One line per event on standard error, and never a wait for it.
 *
 * Standard error is shared with whoever started supd and with every worker, so
 * O_NONBLOCK must not be set on it: the flag belongs to the open file
 * description.  What is a pipe, a terminal or a file is opened once more
 * through /proc, which makes a description of our own; a socket cannot be
 * opened like that, but takes the flag with each send(2).  Where neither works
 * (no /proc, a terminal of another user) a line is written only if poll(2)
 * says that there is room, which is all that can be done.
 *
 * A line is composed in a bounded buffer without allocating, at most PIPE_BUF
 * bytes, so that a pipe takes all of it or nothing.  What a worker or a user
 * wrote may be in it: control characters are escaped, so that no one forges a
 * line or drives a terminal.
 */
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fd.h"

#define LINE_BYTES_MAX 2048
_Static_assert(LINE_BYTES_MAX <= PIPE_BUF, "a line must be atomic on a pipe");

enum sink_kind { SINK_POLLED, SINK_OWN, SINK_SOCKET };

static struct {
	const char *program;
	enum log_level level;
	enum sink_kind kind;
	int fd;
	bool timestamps;
	bool torn;              /* the last line was taken in part */
	uint64_t dropped;
} sink = { .program = "supd", .level = LOG_NOTICE, .fd = STDERR_FILENO,
    .timestamps = true };

static const char *const prefixes[] = {
	[LOG_ERROR] = "error: ",
	[LOG_WARNING] = "warning: ",
	[LOG_NOTICE] = "",
	[LOG_DEBUG] = "debug: ",
};

struct line {
	char bytes[LINE_BYTES_MAX];
	size_t count;           /* one byte is always left for the newline */
};

static void __attribute__((format(printf, 2, 3)))
line_add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->bytes) - 1 - line->count;
	va_list arguments;
	int count;

	va_start(arguments, format);
	count = vsnprintf(line->bytes + line->count, room, format, arguments);
	va_end(arguments);
	if (count > 0)
		line->count += (size_t)count < room ? (size_t)count : room - 1;
}

/* C0, DEL, and C1 as UTF-8 spells it: a terminal obeys all of them. */
static bool
is_control(unsigned char byte, unsigned char before)
{
	return byte < 0x20 || byte == 0x7f ||
	    (before == 0xc2 && byte >= 0x80 && byte <= 0x9f);
}

static void
line_add_escaped(struct line *line, const char *text)
{
	unsigned char before = 0;

	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (sizeof(line->bytes) - line->count < sizeof("\\x00") + 1)
			return;
		if (byte == '\n')
			line_add(line, "\\n");
		else if (byte == '\\')
			line_add(line, "\\\\");
		else if (is_control(byte, before))
			line_add(line, "\\x%02x", byte);
		else
			line->bytes[line->count++] = (char)byte;
		before = byte;
	}
}

static void
line_begin(struct line *line)
{
	struct timespec now;
	struct tm utc;

	line->count = 0;
	if (sink.torn)
		line_add(line, "\n");
	if (sink.timestamps && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
	    gmtime_r(&now.tv_sec, &utc) != NULL)
		line_add(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ ",
		    utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
		    utc.tm_hour, utc.tm_min, utc.tm_sec,
		    now.tv_nsec / 1000000);
	line_add(line, "%s: ", sink.program);
}

static bool
has_room(void)
{
	struct pollfd room = { .fd = sink.fd, .events = POLLOUT };

	return poll(&room, 1, 0) == 1 && (room.revents & POLLOUT);
}

static ssize_t
sink_take(const char *bytes, size_t count)
{
	if (sink.kind == SINK_SOCKET)
		return send(sink.fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sink.kind == SINK_POLLED && !has_room())
		return -1;
	return write(sink.fd, bytes, count);
}

void
log_raw(const char *text)
{
	/* There is nobody to tell that it cannot be told. */
	if (sink_take(text, strlen(text)) < 0)
		return;
}

int
log_raw_fd(void)
{
	return has_room() ? sink.fd : -1;
}

/* True if at least a part of the line was taken. */
static bool
line_end(struct line *line)
{
	ssize_t count;

	line->bytes[line->count++] = '\n';
	count = sink_take(line->bytes, line->count);
	if (count <= 0)
		return false;
	sink.torn = (size_t)count < line->count;
	return true;
}

static bool
report_dropped(void)
{
	struct line line;

	line_begin(&line);
	line_add(&line, "warning: %" PRIu64 " log lines were dropped, "
	    "standard error did not take them", sink.dropped);
	return line_end(&line);
}

static void
write_line(enum log_level level, const char *format, va_list arguments)
{
	char text[LINE_BYTES_MAX];
	int saved = errno;
	struct line line;

	if (level > sink.level)
		return;
	if (sink.dropped > 0) {
		if (!report_dropped()) {
			sink.dropped++;
			errno = saved;
			return;
		}
		sink.dropped = 0;
	}
	errno = saved;          /* for %m */
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	line_begin(&line);
	line_add(&line, "%s", prefixes[level]);
	line_add_escaped(&line, text);
	if (!line_end(&line))
		sink.dropped++;
	errno = saved;
}

/* The journal stamps lines itself; the variable may be another stream's. */
static bool
is_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;

	return stream != NULL &&
	    sscanf(stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
	    device == status->st_dev && inode == status->st_ino;
}

void
log_init(const char *program, enum log_level level)
{
	struct stat status;
	int fd;

	sink.program = program;
	sink.level = level;
	if (fstat(STDERR_FILENO, &status) < 0)
		return;
	sink.timestamps = !is_journal(&status);
	if (S_ISSOCK(status.st_mode)) {
		sink.kind = SINK_SOCKET;
		return;
	}
	fd = open("/proc/self/fd/2",
	    O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return;
	sink.fd = fd_to_private(fd);
	sink.kind = SINK_OWN;
}

void
log_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(LOG_ERROR, format, arguments);
	va_end(arguments);
}

void
log_warning(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(LOG_WARNING, format, arguments);
	va_end(arguments);
}

void
log_notice(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(LOG_NOTICE, format, arguments);
	va_end(arguments);
}

void
log_debug(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(LOG_DEBUG, format, arguments);
	va_end(arguments);
}
