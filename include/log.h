/*
 * The log: one line per event on standard error, `key=value` after a subject.
 *
 * Logging never blocks supd: a line that standard error does not take at once
 * is dropped and counted, and the count is the first thing that is said when
 * it takes lines again.  errno is preserved.
 */
#ifndef SUPD_LOG_H
#define SUPD_LOG_H

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG };

/* Call once; names the program in each line.  Levels above `level` are not
 * written. */
void log_init(const char *program, enum log_level level);

/*
 * For a crash handler: bytes as they are, with the newline; async-signal-safe.
 * log_raw_fd() is for what wants an fd to write to; -1: it would wait there.
 */
void log_raw(const char *text);
int log_raw_fd(void);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
