/*
 * What the tests of steering share: a network of their own, clients by the
 * thousand, and how many of them may by chance go astray.
 *
 * A join may switch on net.ipv4.tcp_migrate_req.  So the tests run in a network
 * namespace with nothing but a loopback, where nobody else listens either, or
 * as a user who may not switch anything.
 */
#ifndef SUPD_STEER_FIXTURE_H
#define SUPD_STEER_FIXTURE_H

#include "listener_fixture.h"
#include "steer.h"

enum { LANES = 2 };             /* the stable one first */

/*
 * Runs a group of tests in a child process, in such a namespace if that is
 * permitted.  `ordinary` is as a user without privilege; without, they have
 * those of the namespace.  Returns the number that failed.
 */
int run_apart(int (*group)(void), bool ordinary);

/* True in a network of its own, whose settings can be changed. */
bool network_is_mine(void);
void network_set_migrate(bool on);

/* A listener with two shards, which does not block. */
struct lane_pair {
	struct listener *listener;
	struct shard *shards[LANES];
};

struct lane_pair pair_open(const char *host, uint16_t port);
void pair_steer(const struct lane_pair *, enum steer, uint32_t weight_permille);
void pair_close(struct lane_pair *);

struct shard *join_or_fail(struct listener *);
struct shard_end close_shard(struct shard *);

/* No error, no stranger, no doubt. */
void expect_calm(const struct listener *);

/* As a worker would do it in another process; shut_down() is for in_child(). */
void shut_down(int fd, int how);
void break_shard(struct shard *);

/* Where a client comes from and goes to. */
struct route {
	struct sockaddr_storage from, to;
	socklen_t bytes;
};

/* Numeric addresses of one family; a source port of 0 is any. */
struct route route_of(const char *from, uint16_t from_port, const char *to,
    uint16_t to_port);

/* A client that is connected, or -errno. */
int route_connect(const struct route *);

/*
 * Connects `count` clients, by each route in turn, and counts who got them.
 * Ends when all have been accepted and closed, without a TIME_WAIT.
 */
void connect_all(const struct lane_pair *, const struct route *,
    uint32_t route_count, uint32_t count, uint32_t ret_got[LANES]);

/* The lane that got one client by this route. */
int lane_of(const struct lane_pair *, const struct route *);

/* Twenty clients at 127.0.0.1, all of which this lane has to get.  One that is
 * at neither is waited for, and the test fails. */
void expect_lane(const struct lane_pair *, int lane);

/* What 99.9 % of draws of the binomial distribution are within. */
struct interval {
	uint32_t least, most;
};

struct interval binomial_interval(uint32_t count, uint32_t weight_permille);

#endif
