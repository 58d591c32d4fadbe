/*
 * The mirror.  As in the kernel (net/core/sock_reuseport.c) it is an array in
 * which the last member fills a hole.
 */
#include "group.h"

#include <assert.h>
#include <string.h>

void
group_join(struct socket_group *group, uint64_t inode)
{
	if (group_index(group, inode) >= 0)
		return;
	assert(group->count < GROUP_MEMBERS_MAX);
	group->members[group->count++] = inode;
}

void
group_leave(struct socket_group *group, uint64_t inode)
{
	int index = group_index(group, inode);

	if (index >= 0)
		group->members[index] = group->members[--group->count];
}

int
group_index(const struct socket_group *group, uint64_t inode)
{
	for (uint32_t i = 0; i < group->count; i++) {
		if (group->members[i] == inode)
			return (int)i;
	}
	return -1;
}

bool
group_equal(const struct socket_group *a, const struct socket_group *b)
{
	return a->count == b->count && memcmp(a->members, b->members,
	    a->count * sizeof(a->members[0])) == 0;
}

static bool
is_among(const uint64_t *inodes, uint32_t count, uint64_t inode)
{
	for (uint32_t i = 0; i < count; i++) {
		if (inodes[i] == inode)
			return true;
	}
	return false;
}

bool
group_follow(struct socket_group *group, const uint64_t *inodes,
    uint32_t count)
{
	uint32_t changes = 0, i = 0;

	assert(count <= GROUP_MEMBERS_MAX);
	while (i < group->count) {
		if (is_among(inodes, count, group->members[i])) {
			i++;
			continue;
		}
		group_leave(group, group->members[i]);
		changes++;
	}
	for (i = 0; i < count; i++) {
		changes += group_index(group, inodes[i]) < 0;
		group_join(group, inodes[i]);
	}
	return group->count <= 1 || changes <= 1;
}
