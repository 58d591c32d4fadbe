/*
 * Who listens at an address: the kernel's groups, seen from outside.
 *
 * The kernel puts two TCP sockets that listen, or two UDP sockets that are bound,
 * into one group if they have the same family, address, port, device and
 * IPV6_V6ONLY (and SO_REUSEPORT and owner, without which the second could not
 * have been bound).  What is compared here is just that.  IPV6_V6ONLY matters
 * for the wildcard address alone; at any other the kernel sets it by itself.
 *
 * A UDP socket leaves its group when it is connected.  One that is bound there
 * later is then put into a group with that one instead of ours, and gets all that
 * comes, the program being that of another group.  (Found by trying, Linux 6.18.)
 */
#include "listener_private.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "diag.h"

struct search {
	const struct listener_spec *spec;
	const void *address;            /* ours, */
	size_t address_bytes;
	uint32_t device;                /* of a link-local address; else 0 */
	bool wildcard_6;
	struct group_look *look;
};

static bool
is_ours(const struct search *search, const struct nlmsghdr *header)
{
	const struct inet_diag_msg *found = NLMSG_DATA(header);
	const uint8_t *ipv6_only;

	if (memcmp(found->id.idiag_src, search->address,
	    search->address_bytes) != 0 ||
	    found->id.idiag_if != search->device)
		return false;
	if (!search->wildcard_6)
		return true;
	ipv6_only = diag_attribute(header, sizeof(*found), INET_DIAG_SKV6ONLY,
	    1);
	return ipv6_only != NULL && (*ipv6_only != 0) ==
	    search->spec->ipv6_only;
}

static int
collect(const struct nlmsghdr *header, void *ctx)
{
	const struct search *search = ctx;
	const struct inet_diag_msg *found = NLMSG_DATA(header);
	struct group_look *look = search->look;

	if (header->nlmsg_len < NLMSG_LENGTH(sizeof(*found)))
		return -EBADMSG;
	if (!is_ours(search, header))
		return 0;
	if (found->idiag_state == TCP_ESTABLISHED) {
		look->connected_count++;
		return 0;
	}
	/* Room for the rest of ours. */
	if (look->count == GROUP_MEMBERS_MAX - SHARDS_MAX)
		return -E2BIG;
	look->inodes[look->count] = found->idiag_inode;
	look->uids[look->count++] = found->idiag_uid;
	return 0;
}

int
listener_look(const struct listener_spec *spec, struct group_look *ret_look)
{
	struct sockaddr_storage sockaddr;
	const struct sockaddr_in *v4 = (const void *)&sockaddr;
	const struct sockaddr_in6 *v6 = (const void *)&sockaddr;
	struct search search = { .spec = spec, .look = ret_look };
	socklen_t bytes;
	int result;

	assert(spec->address.family != ADDRESS_UNIX);
	result = listener_address_resolve(&spec->address, &sockaddr, &bytes);
	if (result != 0)
		return result;
	if (spec->address.family == ADDRESS_IPV6) {
		search.address = &v6->sin6_addr;
		search.address_bytes = sizeof(v6->sin6_addr);
		search.device = v6->sin6_scope_id;
		search.wildcard_6 = IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
	} else {
		search.address = &v4->sin_addr;
		search.address_bytes = sizeof(v4->sin_addr);
	}
	ret_look->count = 0;
	ret_look->connected_count = 0;
	if (address_is_udp(&spec->address))
		return diag_ask_inet(sockaddr.ss_family, IPPROTO_UDP,
		    1 << TCP_CLOSE | 1 << TCP_ESTABLISHED, spec->address.port,
		    collect, &search);
	return diag_ask_inet(sockaddr.ss_family, IPPROTO_TCP, 1 << TCP_LISTEN,
	    spec->address.port, collect, &search);
}
