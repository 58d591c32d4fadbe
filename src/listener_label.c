/*
 * A number that a socket passes on to every connection it takes.
 *
 * An accepted socket inherits the options of the one that listens, and
 * sock_diag(7) shows some of them, without a privilege.  These three mean
 * nothing to a TCP connection: two are for multicast, one for a bind() before
 * a connect().  They belong to IPv4 and exist on IPv6 sockets all the same.
 */
#include "listener_private.h"

#include <assert.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <netinet/in.h>

/* A label of 0 is how a socket is born. */
static const struct {
	int option;
	int standard;
} bits[] = {
	{ IP_MULTICAST_LOOP, 1 },
	{ IP_MULTICAST_ALL, 1 },
	{ IP_BIND_ADDRESS_NO_PORT, 0 },
};

enum { BIT_COUNT = sizeof(bits) / sizeof(bits[0]) };

_Static_assert(LABELS_MAX == 1 << BIT_COUNT, "labels are made of bits");
_Static_assert(LABELS_MAX > SHARDS_MAX, "each shard has its own");

int
label_set(int fd, uint32_t label)
{
	assert(label < LABELS_MAX);
	for (int i = 0; i < BIT_COUNT; i++) {
		int value = bits[i].standard ^ (int)(label >> i & 1);

		if (setsockopt(fd, IPPROTO_IP, bits[i].option, &value,
		    sizeof(value)) != 0)
			return -errno;
	}
	return 0;
}

uint32_t
label_read(const struct inet_diag_sockopt *options)
{
	const int values[BIT_COUNT] = { options->mc_loop, options->mc_all,
	    options->bind_address_no_port };
	uint32_t label = 0;

	for (int i = 0; i < BIT_COUNT; i++)
		label |= (uint32_t)(values[i] ^ bits[i].standard) << i;
	return label;
}

uint32_t
shard_label(const struct shard *shard)
{
	return shard->label;
}
