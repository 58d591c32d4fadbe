/*
 * Lanes: from what is wanted to what is attached.
 *
 * Owns the state that all shards of one address share.  Before each change of
 * ours and after it the kernel is asked who is there, so that what others did
 * is seen apart from that, and the program is attached by what it said.
 * Sockets are told by their inodes and not counted, so no stranger is ever
 * mistaken for one of ours.
 *
 * One thing goes unseen: a worker that shuts a shard down and makes it listen
 * again before anybody looks, while others are at the address.  It has another
 * number then.
 */
#include "steer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bpf.h"
#include "listener_private.h"

struct lanes *
lanes_new(void)
{
	struct lanes *lanes = calloc(1, sizeof(*lanes));

	if (lanes == NULL)
		return NULL;
	lanes->reference_count = 1;
	lanes->label_last = LABELS_MAX - 1;
	return lanes;
}

struct lanes *
lanes_ref(struct lanes *lanes)
{
	assert(lanes->reference_count > 0);
	lanes->reference_count++;
	return lanes;
}

void
lanes_unref(struct lanes *lanes)
{
	if (lanes == NULL)
		return;
	assert(lanes->reference_count > 0);
	if (--lanes->reference_count == 0)
		free(lanes);
}

static struct shard *
first_from(const struct listener *l, const struct lanes *lanes)
{
	for (; l != NULL; l = l->next) {
		if (l->lanes == lanes && l->shard_count > 0)
			return l->shards[0];
	}
	return NULL;
}

struct shard *
lanes_first(const struct lanes *lanes)
{
	return first_from(listener_first(), lanes);
}

struct shard *
lanes_next(const struct shard *shard)
{
	const struct listener *l = shard->listener;

	for (uint32_t i = 1; i < l->shard_count; i++) {
		if (l->shards[i - 1] == shard)
			return l->shards[i];
	}
	return first_from(l->next, l->lanes);
}

struct shard *
lanes_same_socket(const struct shard *shard)
{
	struct shard *s;

	for (s = lanes_first(shard->listener->lanes); s != NULL;
	    s = lanes_next(s)) {
		if (s != shard && s->inode == shard->inode)
			return s;
	}
	return NULL;
}

static bool
is_live(const struct lanes *lanes, const struct shard *shard)
{
	return !shard->broken && group_index(&lanes->group, shard->inode) >= 0;
}

/* The shard, or the same under another name if that one was renewed first, or
 * NULL if it cannot take anything now. */
static const struct shard *
serving(const struct lanes *lanes, const struct shard *wanted)
{
	const struct shard *s;

	if (wanted == NULL || is_live(lanes, wanted))
		return wanted;
	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (s->label == wanted->label && is_live(lanes, s))
			return s;
	}
	return NULL;
}

static const struct shard *
any_live(const struct lanes *lanes)
{
	const struct shard *s;

	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (is_live(lanes, s))
			return s;
	}
	return NULL;
}

static uint32_t
number_of(const struct lanes *lanes, const struct shard *shard)
{
	return (uint32_t)group_index(&lanes->group, shard->inode);
}

/* False if none is there to get anything. */
static bool
make_plan(const struct lanes *lanes, struct bpf_plan *ret_plan)
{
	const struct steering *wanted = &lanes->steering;
	const struct shard *stable = serving(lanes, wanted->stable);
	const struct shard *candidate = serving(lanes, wanted->candidate);
	struct bpf_plan plan = { .steer = wanted->steer };
	const struct shard *s = lanes_first(lanes);

	if (stable == NULL)
		stable = candidate != NULL ? candidate : any_live(lanes);
	if (stable == NULL)
		return false;
	plan.udp = address_is_udp(&s->listener->spec->address);
	plan.stable = plan.candidate = number_of(lanes, stable);
	if (candidate != NULL) {
		plan.candidate = number_of(lanes, candidate);
		plan.weight_permille = wanted->weight_permille;
	}
	for (uint32_t i = 0; i < wanted->probe_count; i++) {
		s = serving(lanes, wanted->probes[i].shard);
		if (s != NULL)
			plan.probes[plan.probe_count++] = (struct bpf_probe){
				.port = wanted->probes[i].port,
				.member = number_of(lanes, s),
			};
	}
	*ret_plan = plan;
	return true;
}

/* Any member will do; one of them may have been locked (SO_LOCK_FILTER). */
static int
attach_program(const struct lanes *lanes, struct bpf_program *program)
{
	const struct shard *s;
	struct sock_fprog to;
	int result = 0;

	memset(&to, 0, sizeof(to));     /* the kernel copies its padding, too */
	to.len = program->count;
	to.filter = program->code;
	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (!is_live(lanes, s))
			continue;
		if (setsockopt(s->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
		    &to, sizeof(to)) == 0)
			return 0;
		result = -errno;
	}
	return result;
}

/* They will be renewed, and attached to then. */
static bool
all_broken(const struct lanes *lanes)
{
	const struct shard *s;

	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (!s->broken)
			return false;
	}
	return true;
}

static void
attach(struct lanes *lanes)
{
	struct bpf_program program;
	struct bpf_plan plan;

	if (!make_plan(lanes, &plan)) {
		lanes->state.attach_error = all_broken(lanes) ? 0 : -ENOTCONN;
		return;
	}
	bpf_compile(&plan, &program);
	lanes->state.attach_error = attach_program(lanes, &program);
}

static bool
is_ours(const struct lanes *lanes, uint64_t inode)
{
	const struct shard *s;

	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (s->inode == inode)
			return true;
	}
	return false;
}

static void
note_strangers(struct lanes *lanes, const struct group_look *look)
{
	struct steer_state *state = &lanes->state;

	for (uint32_t i = 0; i < look->count; i++) {
		if (is_ours(lanes, look->inodes[i]) ||
		    listener_is_offered(look->inodes[i]))
			continue;
		state->stranger_count++;
		state->stranger_inode = look->inodes[i];
		state->stranger_uid = look->uids[i];
	}
}

/* Where the kernel does not tell: those that were there, and ours. */
static void
guess(const struct lanes *lanes, struct group_look *ret_look)
{
	struct socket_group group = { .count = 0 };
	const struct shard *s;

	for (uint32_t i = 0; i < lanes->group.count; i++) {
		if (!is_ours(lanes, lanes->group.members[i]))
			group_join(&group, lanes->group.members[i]);
	}
	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (!s->broken)
			group_join(&group, s->inode);
	}
	memcpy(ret_look->inodes, group.members, sizeof(ret_look->inodes));
	ret_look->count = group.count;
}

static void
look(struct lanes *lanes)
{
	const struct shard *shard = lanes_first(lanes);
	struct steer_state *state = &lanes->state;
	struct group_look found;

	state->stranger_count = 0;
	state->stranger_inode = 0;
	state->stranger_uid = 0;
	state->connected_count = 0;
	state->look_error = listener_look(shard->listener->spec, &found);
	if (state->look_error == 0) {
		note_strangers(lanes, &found);
		state->connected_count = found.connected_count;
	} else
		guess(lanes, &found);
	if (!group_follow(&lanes->group, found.inodes, found.count))
		state->unsure = true;
	if (lanes->group.count <= 1)
		state->unsure = false;
}

/* Where a shard that had a part is there no more. */
static void
fill_gaps(struct lanes *lanes)
{
	struct steering *steering = &lanes->steering;

	if (steering->stable == NULL) {
		steering->stable = steering->candidate;
		steering->candidate = NULL;
	}
	if (steering->stable == NULL)
		steering->stable = lanes_first(lanes);
	if (steering->candidate == NULL)
		steering->weight_permille = 0;
}

/* Before one of ours comes or goes, and after it: what is kept of the order
 * must never be behind by more than that. */
static void
look_and_tell(struct lanes *lanes)
{
	struct socket_group before = lanes->group;
	bool unsure = lanes->state.unsure;

	look(lanes);
	if (!group_equal(&before, &lanes->group) ||
	    unsure != lanes->state.unsure)
		listener_changed();
}

void
lanes_refresh(struct lanes *lanes)
{
	if (lanes_first(lanes) == NULL)
		return;
	if (lanes->steering.stable == NULL)
		lanes->steering.stable = lanes_first(lanes);
	look_and_tell(lanes);
	attach(lanes);
}

void
lanes_restore(struct lanes *lanes, const struct socket_group *group,
    const struct steering *steering)
{
	lanes->group = *group;
	lanes->steering = *steering;
	fill_gaps(lanes);
	look(lanes);
	if (!group_equal(group, &lanes->group))
		attach(lanes);
}

void
lanes_shut(struct lanes *lanes, uint64_t inode)
{
	group_leave(&lanes->group, inode);
	attach(lanes);
}

void
lanes_left(struct lanes *lanes, uint64_t inode)
{
	lanes_refresh(lanes);
	/* It may have its number still: see shard_close(). */
	if (group_index(&lanes->group, inode) < 0 ||
	    lanes->state.look_error == 0 || listener_is_offered(inode))
		return;
	/* The kernel does not tell, but we know. */
	group_leave(&lanes->group, inode);
	listener_changed();
	attach(lanes);
}

/* Who has its label under another name, or NULL. */
static struct shard *
heir_of(const struct lanes *lanes, const struct shard *gone)
{
	struct shard *s;

	for (s = lanes_first(lanes); s != NULL; s = lanes_next(s)) {
		if (s != gone && s->label == gone->label)
			return s;
	}
	return NULL;
}

static void
forget_probes(struct steering *steering, const struct shard *gone,
    struct shard *heir)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < steering->probe_count; i++) {
		struct probe_port probe = steering->probes[i];

		if (probe.shard == gone)
			probe.shard = heir;
		if (probe.shard != NULL)
			steering->probes[kept++] = probe;
	}
	steering->probe_count = kept;
}

void
lanes_forget(struct lanes *lanes, const struct shard *gone)
{
	struct steering *steering = &lanes->steering;
	struct shard *heir = heir_of(lanes, gone);

	forget_probes(steering, gone, heir);
	if (steering->candidate == gone)
		steering->candidate = heir;
	if (steering->stable == gone)
		steering->stable = heir;
	fill_gaps(lanes);
	listener_changed();
	lanes_refresh(lanes);
}

static void
check_shard(const struct listener *listener, const struct shard *shard)
{
	assert(shard != NULL);
	assert(shard->listener->lanes == listener->lanes);
}

/* Probes' ports are not told (listener_keep.c), and change often. */
static bool
is_told_alike(const struct steering *a, const struct steering *b)
{
	return a->steer == b->steer && a->stable == b->stable &&
	    a->candidate == b->candidate &&
	    a->weight_permille == b->weight_permille;
}

int
listener_steer(struct listener *listener, const struct steering *wanted,
    char *ret_text)
{
	struct lanes *lanes = listener->lanes;
	struct steering before;
	int error;

	if (lanes == NULL) {
		listener_say(ret_text, listener->spec, "what comes to %s cannot"
		    " be divided", address_kind_text(&listener->spec->address));
		return -EOPNOTSUPP;
	}
	check_shard(listener, wanted->stable);
	if (wanted->candidate != NULL)
		check_shard(listener, wanted->candidate);
	for (uint32_t i = 0; i < wanted->probe_count; i++)
		check_shard(listener, wanted->probes[i].shard);
	/* What is told of the group should not tell of a steering that may be
	 * refused. */
	look_and_tell(lanes);
	before = lanes->steering;
	lanes->steering = *wanted;
	attach(lanes);
	error = lanes->state.attach_error;
	if (error == 0) {
		if (!is_told_alike(&before, wanted))
			listener_changed();
		return 0;
	}
	lanes->steering = before;
	listener_say(ret_text, listener->spec, "cannot attach a program that "
	    "divides connections: %s", strerror(-error));
	return error;
}

const struct steering *
listener_steering(const struct listener *listener)
{
	assert(listener->lanes != NULL);
	return &listener->lanes->steering;
}

struct steer_state
listener_steer_state(const struct listener *listener)
{
	return listener->lanes != NULL ? listener->lanes->state :
	    (struct steer_state){ 0 };
}

int
listener_strangers(struct listener *listener)
{
	const struct steer_state *state;

	if (listener->lanes == NULL)
		return 0;
	lanes_refresh(listener->lanes);
	state = &listener->lanes->state;
	return state->look_error != 0 ? state->look_error :
	    (int)state->stranger_count;
}
