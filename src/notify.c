/*
 * The notify socket of one worker: making it and reading from it.
 *
 * Whatever happens to a message, every fd that came with it is closed before
 * notify_read() returns, but for those that are to be stored: a sender could
 * otherwise fill our table.  The barrier
 * is answered by that closing, so it comes last, when the message is known to
 * be good.  What a message means is notify_parse.c; whether its sender may say
 * it is decided by who knows the worker.
 */
#include "notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fd.h"

/* What came beside the bytes. */
struct attachments {
	struct ucred sender;
	bool has_sender;
	int fds[NOTIFY_FDS_MAX];
	size_t fd_count;
};

static void
read_attachments(struct msghdr *header, struct attachments *ret_attachments)
{
	struct cmsghdr *control;
	size_t bytes;

	ret_attachments->has_sender = false;
	ret_attachments->fd_count = 0;
	for (control = CMSG_FIRSTHDR(header); control != NULL;
	    control = CMSG_NXTHDR(header, control)) {
		bytes = control->cmsg_len - CMSG_LEN(0);
		if (control->cmsg_level != SOL_SOCKET)
			continue;
		if (control->cmsg_type == SCM_CREDENTIALS &&
		    bytes == sizeof(struct ucred)) {
			memcpy(&ret_attachments->sender, CMSG_DATA(control),
			    bytes);
			ret_attachments->has_sender = true;
		} else if (control->cmsg_type == SCM_RIGHTS &&
		    bytes <= sizeof(ret_attachments->fds)) {
			memcpy(ret_attachments->fds, CMSG_DATA(control), bytes);
			ret_attachments->fd_count = bytes / sizeof(int);
		}
	}
}

static void
close_attachments(const struct attachments *attachments)
{
	size_t i;

	for (i = 0; i < attachments->fd_count; i++)
		fd_close(attachments->fds[i]);
}

/* NULL if the message can be taken, else what is wrong with it. */
static const char *
objection(const struct msghdr *header, const struct attachments *attachments)
{
	if (header->msg_flags & MSG_TRUNC)
		return "the message is too long";
	if (header->msg_flags & MSG_CTRUNC)
		return "too many file descriptors came with the message";
	if (!attachments->has_sender)
		return "the message came without credentials";
	if (attachments->sender.pid <= 0)
		return "the sender is in a pid namespace that is not ours";
	return NULL;
}

static enum notify_result
take(const char *bytes, size_t size_bytes,
    struct attachments *attachments, struct notify_message *ret_message,
    char *ret_text)
{
	struct notify_message message;
	unsigned bad;

	notify_parse(bytes, size_bytes, &message, &bad);
	if (message.barrier && attachments->fd_count != 1) {
		snprintf(ret_text, REASON_BYTES_MAX, "BARRIER=1 came with %zu "
		    "file descriptors, it must have one",
		    attachments->fd_count);
		return NOTIFY_REFUSED;
	}
	ret_text[0] = '\0';
	if (bad > 0)
		snprintf(ret_text, REASON_BYTES_MAX,
		    "%u assignments with a bad value were ignored", bad);
	if (message.fd_store) {
		memcpy(message.fds, attachments->fds,
		    attachments->fd_count * sizeof(int));
		message.fd_count = (unsigned)attachments->fd_count;
		attachments->fd_count = 0;
	}
	message.sender = attachments->sender.pid;
	message.sender_uid = attachments->sender.uid;
	*ret_message = message;
	return NOTIFY_MESSAGE;
}

/* A path that is taken is a dead supd's: the directory is ours alone. */
static int
bind_path(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;

	if (bind(fd, any, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE || unlink(address->sun_path) < 0 ||
	    bind(fd, any, sizeof(*address)) < 0)
		return -errno;
	return 0;
}

static int
set_up(int fd, const struct sockaddr_un *address)
{
	int error, on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
		return -errno;
	error = bind_path(fd, address);
	if (error < 0)
		return error;
	if (chmod(address->sun_path, 0666) < 0) {
		error = -errno;
		(void)unlink(address->sun_path);
	}
	return error;
}

int
notify_open(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	int error, fd;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, length);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	error = set_up(fd, &address);
	if (error < 0) {
		fd_close(fd);
		return error;
	}
	return fd_to_private(fd);
}

/*
 * An error of recvmsg is no message: there is none, or no memory for one, and
 * then the loop asks again.
 */
static enum notify_result
receive(int fd, int flags, struct notify_message *ret_message, char *ret_text)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) +
		    CMSG_SPACE(NOTIFY_FDS_MAX * sizeof(int))];
	} control;
	char bytes[NOTIFY_BYTES_MAX];
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr header = {
		.msg_iov = &part, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct attachments attachments;
	enum notify_result result = NOTIFY_REFUSED;
	const char *wrong;
	ssize_t count;

	count = recvmsg(fd, &header, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (count < 0)
		return NOTIFY_NONE;
	read_attachments(&header, &attachments);
	wrong = objection(&header, &attachments);
	if (wrong != NULL)
		snprintf(ret_text, REASON_BYTES_MAX, "%s", wrong);
	else
		result = take(bytes, (size_t)count, &attachments, ret_message,
		    ret_text);
	close_attachments(&attachments);
	return result;
}

enum notify_result
notify_read(int fd, struct notify_message *ret_message, char *ret_text)
{
	return receive(fd, 0, ret_message, ret_text);
}

bool
notify_peek(int fd, struct notify_message *ret_message)
{
	char unsaid[REASON_BYTES_MAX];

	if (receive(fd, MSG_PEEK, ret_message, unsaid) != NOTIFY_MESSAGE)
		return false;
	while (ret_message->fd_count > 0)
		fd_close(ret_message->fds[--ret_message->fd_count]);
	return true;
}

/* SO_PRIORITY, see socket(7), means nothing to a unix socket, and stays with it. */
void
notify_mark(int fd, bool marked)
{
	const int priority = marked;

	(void)setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority,
	    sizeof(priority));
}

bool
notify_is_marked(int fd)
{
	int marked = 0;
	socklen_t bytes = sizeof(marked);

	return getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &marked, &bytes) == 0 &&
	    marked == 1;
}
