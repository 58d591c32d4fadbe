/*
 * One netlink socket for each conversation: they are rare, and what is left
 * unread of one cannot be taken for the answer to the next.
 */
#include "diag.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "fd.h"

union buffer {
	struct nlmsghdr header;
	char bytes[16384];              /* the kernel fills less at a time */
};

static int
send_request(int fd, const struct nlmsghdr *request)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

	if (sendto(fd, request, request->nlmsg_len, 0,
	    (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return 0;
}

static int
read_error(const struct nlmsghdr *header)
{
	const struct nlmsgerr *error = NLMSG_DATA(header);

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
		return -EBADMSG;
	return error->error < 0 ? error->error : -EBADMSG;
}

/* `ret_more` says whether another part of the answer is to be read. */
static int
read_part(int fd, diag_answer answer, void *ctx, bool *ret_more)
{
	union buffer buffer;
	const struct nlmsghdr *header = &buffer.header;
	ssize_t count;
	size_t left;
	int result;

	*ret_more = false;
	count = recv(fd, &buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
	if (count < 0)
		return -errno;
	if ((size_t)count > sizeof(buffer))
		return -EMSGSIZE;
	for (left = (size_t)count; NLMSG_OK(header, left);
	    header = NLMSG_NEXT(header, left)) {
		if (header->nlmsg_type == NLMSG_DONE)
			return 0;
		if (header->nlmsg_type == NLMSG_ERROR)
			return read_error(header);
		result = answer(header, ctx);
		if (result != 0)
			return result;
		if (!(header->nlmsg_flags & NLM_F_MULTI))
			return 0;
	}
	*ret_more = true;
	return 0;
}

int
diag_ask(const struct nlmsghdr *request, diag_answer answer, void *ctx)
{
	bool more = true;
	int fd, result;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		return -errno;
	result = send_request(fd, request);
	while (result == 0 && more)
		result = read_part(fd, answer, ctx, &more);
	fd_close(fd);
	return result;
}

int
diag_ask_inet(int family, int protocol, uint32_t states, uint16_t port,
    diag_answer answer, void *ctx)
{
	const struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.request = {
			.sdiag_family = (uint8_t)family,
			.sdiag_protocol = (uint8_t)protocol,
			.idiag_states = states,
			.id.idiag_sport = htons(port),
		},
	};

	return diag_ask(&message.header, answer, ctx);
}

const void *
diag_attribute(const struct nlmsghdr *header, size_t message_bytes,
    unsigned short type, size_t size_bytes)
{
	const struct rtattr *attribute = (const void *)((const char *)
	    NLMSG_DATA(header) + NLMSG_ALIGN(message_bytes));
	int left = (int)header->nlmsg_len - (int)NLMSG_SPACE(message_bytes);

	for (; RTA_OK(attribute, left);
	    attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == type &&
		    RTA_PAYLOAD(attribute) >= size_bytes)
			return RTA_DATA(attribute);
	}
	return NULL;
}

int
diag_ask_unix(uint64_t inode, uint32_t show, diag_answer answer, void *ctx)
{
	const struct {
		struct nlmsghdr header;
		struct unix_diag_req request;
	} message = {
		.header = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.request = {
			.sdiag_family = AF_UNIX,
			.udiag_ino = (uint32_t)inode,
			.udiag_show = show,
			.udiag_cookie = { UINT32_MAX, UINT32_MAX }, /* any */
		},
	};

	return diag_ask(&message.header, answer, ctx);
}
