/*
 * Lives of the module, one after the other.
 */
#include "keep_fixture.h"

json_t *changes[CHANGES_MAX];
unsigned change_count;

void
note_change(void *ctx)
{
	(void)ctx;
	assert_true(change_count < CHANGES_MAX);
	changes[change_count] = listener_save();
	assert_non_null(changes[change_count]);
	change_count++;
}

void
forget_changes(void)
{
	while (change_count > 0)
		json_decref(changes[--change_count]);
}

int
keep_begin(void **state)
{
	(void)state;
	listener_on_change(note_change, NULL);
	return 0;
}

int
keep_end(void **state)
{
	(void)state;
	forget_changes();
	listener_on_change(NULL, NULL);
	if (listener_first() == NULL && carry_count() == 0 &&
	    carry_leave() == 0)
		return 0;
	return -1;
}

void
restore_or_fail(const json_t *saved)
{
	if (listener_restore(saved, text) != 0)
		fail_msg("%s", text);
}

void
restart(void)
{
	json_t *saved = listener_save(), *now;
	char *was, *is;

	if (change_count > 0)
		assert_true(json_equal(saved, changes[change_count - 1]));
	end_supd();
	restore_or_fail(saved);
	now = listener_save();
	was = json_dumps(saved, JSON_SORT_KEYS);
	is = json_dumps(now, JSON_SORT_KEYS);
	assert_string_equal(was, is);
	free(was);
	free(is);
	json_decref(saved);
	json_decref(now);
}

void
restart_from(unsigned change)
{
	assert_true(change < change_count);
	end_supd();
	restore_or_fail(changes[change]);
}

struct shard *
again(uint32_t number)
{
	struct shard *shard = listener_shard(number);

	assert_non_null(shard);
	return shard_ref(shard);
}

struct lane_pair
pair_again(const uint32_t numbers[LANES])
{
	struct lane_pair pair;

	for (int i = 0; i < LANES; i++)
		pair.shards[i] = again(numbers[i]);
	pair.listener = pair.shards[0]->listener;
	return pair;
}

void
numbers_of(const struct lane_pair *pair, uint32_t ret_numbers[LANES])
{
	for (int i = 0; i < LANES; i++)
		ret_numbers[i] = pair->shards[i]->number;
}
