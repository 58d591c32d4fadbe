/*
 * The mirror of a group's numbers.  That it is one is seen in test_steer.c.
 */
#include "group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct socket_group
group_of(uint64_t count)
{
	struct socket_group group = { .count = 0 };

	for (uint64_t i = 1; i <= count; i++)
		group_join(&group, 10 * i);
	return group;
}

static void
assert_members(const struct socket_group *group, const uint64_t *inodes,
    uint32_t count)
{
	assert_int_equal(group->count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(group->members[i], inodes[i]);
		assert_int_equal(group_index(group, inodes[i]), i);
	}
}

#define ASSERT_MEMBERS(group, ...) \
	assert_members(group, (const uint64_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void
numbers_are_in_the_order_of_joining(void **state)
{
	struct socket_group group = group_of(3);

	(void)state;
	ASSERT_MEMBERS(&group, 10, 20, 30);
	assert_int_equal(group_index(&group, 40), -1);
	group_join(&group, 10);
	ASSERT_MEMBERS(&group, 10, 20, 30);
}

static void
the_last_takes_the_place_of_one_that_leaves(void **state)
{
	struct socket_group group = group_of(4);

	(void)state;
	group_leave(&group, 20);
	ASSERT_MEMBERS(&group, 10, 40, 30);
	group_leave(&group, 30);
	ASSERT_MEMBERS(&group, 10, 40);
	group_leave(&group, 77);
	group_join(&group, 20);
	ASSERT_MEMBERS(&group, 10, 40, 20);
	group_leave(&group, 10);
	group_leave(&group, 20);
	group_leave(&group, 40);
	assert_int_equal(group.count, 0);
}

#define FOLLOW(group, ...) \
	group_follow(group, (const uint64_t[]){ __VA_ARGS__ }, \
	    sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))

static void
what_happened_unseen_is_followed(void **state)
{
	struct socket_group group = group_of(3);

	(void)state;
	assert_true(FOLLOW(&group, 30, 20, 10));
	ASSERT_MEMBERS(&group, 10, 20, 30);
	assert_true(FOLLOW(&group, 50, 10, 20, 30));
	ASSERT_MEMBERS(&group, 10, 20, 30, 50);
	assert_true(FOLLOW(&group, 50, 30, 20));
	ASSERT_MEMBERS(&group, 50, 20, 30);
}

static void
what_cannot_be_known_is_said(void **state)
{
	struct socket_group group = group_of(4);

	(void)state;
	assert_false(FOLLOW(&group, 30, 40));           /* two have left */
	assert_int_equal(group.count, 2);
	group = group_of(4);
	assert_false(FOLLOW(&group, 10, 30, 40, 50));   /* left and came */
	assert_int_equal(group.count, 4);
	group = group_of(2);
	assert_false(FOLLOW(&group, 40, 10, 20, 30));   /* two have come */
	assert_int_equal(group.count, 4);
	assert_int_equal(group_index(&group, 20), 1);
	group = group_of(4);
	assert_true(FOLLOW(&group, 30));                /* alone is 0 */
	ASSERT_MEMBERS(&group, 30);
	assert_true(group_follow(&group, NULL, 0));
	assert_int_equal(group.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_in_the_order_of_joining),
		cmocka_unit_test(the_last_takes_the_place_of_one_that_leaves),
		cmocka_unit_test(what_happened_unseen_is_followed),
		cmocka_unit_test(what_cannot_be_known_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
