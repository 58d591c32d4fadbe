/*
 * One request and its answer.
 *
 * What comes from the server is not trusted: libcurl reads it, at most
 * ANSWER_BYTES_MAX are taken, and the time limit covers all of it.  An answer
 * must be complete or that long; one that only began is none.
 *
 * Nothing of what libcurl could do besides is used: no second connection, no
 * name is resolved, no proxy asked, no redirect followed, no encoding undone
 * but chunks.
 *
 * libcurl connects the socket itself.  (That it takes one that is connected,
 * CURL_SOCKOPT_ALREADY_CONNECTED, is broken in 7.88, which Debian 12 has.)  It
 * takes a unix socket whose queue is full for one that is being connected, and
 * then finds that it is not; that is tried again until the time is over.
 */
#include "supprobe.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"

enum { ANSWER_BYTES_MAX = 65536, PAUSE_NS = 10 * 1000 * 1000 };

struct answer {
	bool headed;            /* all headers were there */
	bool full;              /* there was more than is taken */
	size_t header_bytes, body_bytes;        /* together at most the limit */
	char body[ANSWER_BYTES_MAX];
};

static curl_socket_t
on_open(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	(void)purpose, (void)address;
	return supprobe_socket(ctx);
}

static size_t
room(const struct answer *answer)
{
	return ANSWER_BYTES_MAX - answer->header_bytes - answer->body_bytes;
}

/* Less than `count` as the result ends the transfer. */
static size_t
on_header(char *bytes, size_t size, size_t count, void *ctx)
{
	struct answer *answer = ctx;

	(void)size;
	if (count > room(answer)) {
		answer->full = true;
		return 0;
	}
	answer->header_bytes += count;
	/* Interim answers (100) have headers too; trailers come later. */
	if (count >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		answer->headed = false;
	else if (bytes[0] == '\r' || bytes[0] == '\n')
		answer->headed = true;
	return count;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *ctx)
{
	struct answer *answer = ctx;
	size_t taken = count < room(answer) ? count : room(answer);

	(void)size;
	memcpy(answer->body + answer->body_bytes, bytes, taken);
	answer->body_bytes += taken;
	answer->full = taken < count;
	return taken;
}

/* The server takes the name for the Host header from it. */
static void
make_url(const struct address *target, char *ret_url, size_t size)
{
	switch (target->family) {
	case ADDRESS_IPV4:
		(void)snprintf(ret_url, size, "http://%s:%u/", target->host,
		    target->port);
		break;
	case ADDRESS_IPV6:
		(void)snprintf(ret_url, size, "http://[%s]:%u/", target->host,
		    target->port);
		break;
	default:
		(void)snprintf(ret_url, size, "http://localhost/");
	}
}

#define SET(option, value) do { \
	if (code == CURLE_OK) \
		code = curl_easy_setopt(curl, option, value); \
} while (0)

static CURLcode
set_connection(CURL *curl, const struct supprobe *probe)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
	SET(CURLOPT_OPENSOCKETDATA, probe);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NOSIGNAL, 1L);
	if (address_has_file(&probe->target))
		SET(CURLOPT_UNIX_SOCKET_PATH, probe->target.path);
	else if (probe->target.family == ADDRESS_UNIX)
		SET(CURLOPT_ABSTRACT_UNIX_SOCKET, probe->target.path + 1);
	return code;
}

static CURLcode
set_request(CURL *curl, const struct supprobe *probe, struct answer *answer,
    struct curl_slist *headers)
{
	char url[sizeof(probe->target.host) + 32];
	CURLcode code = CURLE_OK;

	make_url(&probe->target, url, sizeof(url));
	SET(CURLOPT_URL, url);
	SET(CURLOPT_REQUEST_TARGET, probe->path);
	SET(CURLOPT_PROTOCOLS_STR, "http");
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTP09_ALLOWED, 0L);
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTPHEADER, headers);
	SET(CURLOPT_USERAGENT, "supprobe/" PACKAGE_VERSION);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, answer);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, answer);
	return code;
}

static enum supprobe_exit
say(enum supprobe_exit result, char *ret_text, const char *text)
{
	(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX, "%s", text);
	return result;
}

static enum supprobe_exit
judge_status(const struct supprobe *probe, long status, char *ret_text)
{
	int used;

	if (status >= (long)probe->status_min &&
	    status <= (long)probe->status_max)
		return SUPPROBE_PASSED;
	used = snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
	    "HTTP %ld, expected %u", status, probe->status_min);
	if (probe->status_max > probe->status_min)
		(void)snprintf(ret_text + used,
		    (size_t)(SUPPROBE_TEXT_BYTES_MAX - used), "-%u",
		    probe->status_max);
	return SUPPROBE_FAILED;
}

static enum supprobe_exit
judge(const struct supprobe *probe, const struct answer *answer, long status,
    char *ret_text)
{
	if (judge_status(probe, status, ret_text) != SUPPROBE_PASSED)
		return SUPPROBE_FAILED;
	if (probe->body != NULL && memmem(answer->body, answer->body_bytes,
	    probe->body, strlen(probe->body)) == NULL) {
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    "the body does not contain \"%.200s\"%s", probe->body,
		    answer->full ? " in its first 64 KiB" : "");
		return SUPPROBE_FAILED;
	}
	(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
	    "HTTP %ld in %" PRIu64 " ms", status,
	    clock_ms() - probe->start_ms);
	return SUPPROBE_PASSED;
}
_Static_assert(ANSWER_BYTES_MAX == 64 << 10, "the message above names it");

static int
errno_of(CURL *curl)
{
	long number = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
	return (int)number;
}

static enum supprobe_exit
explain_errno(CURL *curl, const char *what, char *ret_text)
{
	int number = errno_of(curl);

	(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX, "%s: %s", what,
	    number != 0 ? strerror(number) : "failed");
	return SUPPROBE_FAILED;
}

/* Why there is no answer to be judged. */
static enum supprobe_exit
explain(const struct supprobe *probe, const struct answer *answer, CURL *curl,
    CURLcode code, char *ret_text)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		(void)snprintf(ret_text, SUPPROBE_TEXT_BYTES_MAX,
		    answer->header_bytes == 0 ? "no answer within %u ms" :
		    "the answer was not complete within %u ms",
		    probe->timeout_ms);
		return SUPPROBE_FAILED;
	case CURLE_GOT_NOTHING:
		return say(SUPPROBE_FAILED, ret_text,
		    "the connection was closed without an answer");
	case CURLE_UNSUPPORTED_PROTOCOL:        /* HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
		return say(SUPPROBE_FAILED, ret_text, "the answer is not HTTP");
	case CURLE_OK:
	case CURLE_PARTIAL_FILE:
		return say(SUPPROBE_FAILED, ret_text, "the answer ended early");
	case CURLE_WRITE_ERROR:
	case CURLE_OUT_OF_MEMORY:               /* one line, over 100 KiB */
		return say(SUPPROBE_FAILED, ret_text,
		    "the headers of the answer are longer than 64 KiB");
	case CURLE_COULDNT_CONNECT:
		return explain_errno(curl, "connect", ret_text);
	case CURLE_SEND_ERROR:
		return explain_errno(curl, "send", ret_text);
	case CURLE_RECV_ERROR:
		if (errno_of(curl) == 0)        /* chunks that are none */
			return say(SUPPROBE_FAILED, ret_text,
			    "the answer is not HTTP");
		return explain_errno(curl, "receive", ret_text);
	default:
		return say(SUPPROBE_FAILED, ret_text, curl_easy_strerror(code));
	}
}

/* The queue of a unix socket was full; see the essay.  What libcurl says then
 * has no errno, or a wrong one. */
static bool
was_full(CURL *curl, const struct supprobe *probe, CURLcode code)
{
	int number = errno_of(curl);

	if (probe->target.family != ADDRESS_UNIX)
		return false;
	return (code == CURLE_COULDNT_CONNECT &&
	    (number == 0 || number == EAGAIN)) ||
	    (code == CURLE_SEND_ERROR && number == ENOTCONN);
}

static CURLcode
perform(CURL *curl, const struct supprobe *probe)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	CURLcode code;

	for (;;) {
		code = curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS,
		    (long)supprobe_left_ms(probe));
		if (code == CURLE_OK)
			code = curl_easy_perform(curl);
		if (!was_full(curl, probe, code))
			return code;
		if (supprobe_left_ms(probe) <= 1)
			return CURLE_OPERATION_TIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
}

static enum supprobe_exit
ask(CURL *curl, const struct supprobe *probe, struct curl_slist *headers,
    char *ret_text)
{
	static struct answer answer;
	CURLcode code;
	long status = 0;

	code = set_connection(curl, probe);
	if (code == CURLE_OK)
		code = set_request(curl, probe, &answer, headers);
	if (code != CURLE_OK)
		return say(SUPPROBE_USAGE, ret_text, curl_easy_strerror(code));
	code = perform(curl, probe);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if ((code == CURLE_OK && answer.headed) ||
	    (answer.full && answer.body_bytes > 0))
		return judge(probe, &answer, status, ret_text);
	return explain(probe, &answer, curl, code, ret_text);
}

enum supprobe_exit
supprobe_http(const struct supprobe *probe, char *ret_text)
{
	struct curl_slist *headers = NULL;
	CURL *curl = NULL;
	enum supprobe_exit result;

	if (curl_global_init(CURL_GLOBAL_NOTHING) == CURLE_OK) {
		curl = curl_easy_init();
		headers = curl_slist_append(NULL, "Connection: close");
	}
	if (curl != NULL && headers != NULL)
		result = ask(curl, probe, headers, ret_text);
	else
		result = say(SUPPROBE_USAGE, ret_text, "out of memory");
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	curl_global_cleanup();
	return result;
}
