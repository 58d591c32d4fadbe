/*
 * Saved listeners that are damaged: said what is wrong, and never an assertion;
 * what comes of it is closed again.
 */
#include "keep_fixture.h"

#include "fd.h"

/* A pair's text, with one thing changed. */
struct damage {
	const char *path;       /* of members and places, with / between */
	const char *value;      /* JSON; NULL: the member is removed */
	const char *says;       /* NULL: it is fine */
};

static const struct damage damages[] = {
	{ "0", "7", "must be an object" },
	{ "0/name", NULL, "no name" },
	{ "0/name", "\"\"", "no name" },
	{ "0/name", "\"0123456789012345678901234567890123456789x\"",
	    "at most 40" },
	{ "0/address_text", NULL, "no address" },
	{ "0/family", "\"IPX\"", "IPV4" },
	{ "0/family", "\"UNIX\"", "path" },
	{ "0", "{\"name\":\"web\",\"address_text\":\"fifo:@x\",\"family\":"
	    "\"UNIX\",\"kind\":\"FIFO\",\"path\":\"@x\"}", "absolute" },
	{ "0/kind", "\"FIFO\"", "only TCP and UDP" },
	{ "0/kind", "\"RAW\"", "SEQPACKET" },
	{ "0/host", "\"web.example\"", "host" },
	{ "0/port", "0", "port" },
	{ "0/port", "65536", "port" },
	{ "0/port", "\"http\"", "number" },
	{ "0/shards", "[]", "no shard" },
	{ "0/shards", "[{\"number\":1},{},{},{},{},{}]", "at most 5" },
	{ "0/shards/0/number", "0", "no shard" },
	{ "0/shards/0/number", "4294967295", "beyond" },
	{ "0/shards/0/inode", "0", "inode" },
	{ "0/shards/1/label", "8", "label" },
	{ "0/shards/1/label", "0", "same label" },
	{ "0/shards/1/broken", "2", "true or false" },
	{ "0/label_last", "8", "label" },
	{ "0/weight_permille", "1001", "permille" },
	{ "0/weight_permille", "-1", "number" },
	{ "0/steer", "\"FAIR\"", "SOURCE_IP" },
	{ "0/members/1", "{\"inode\":\"0xffffffffffffffff\"}", NULL },
	{ "0/members", "\"\"", "list" },
	{ "0/stable", "99", NULL },
	{ "0/candidate", "99", NULL },
	{ "0/of_a_newer_supd", "{}", NULL },
};

static void
set_at(json_t *at, const char *path, const char *value)
{
	json_t *new = value != NULL ? json_loads(value, JSON_DECODE_ANY, NULL) :
	    NULL;
	size_t length = strcspn(path, "/");
	char key[64];

	snprintf(key, sizeof(key), "%.*s", (int)length, path);
	if (path[length] == '/') {
		set_at(json_is_array(at) ? json_array_get(at,
		    (size_t)atoi(key)) : json_object_get(at, key),
		    path + length + 1, value);
		json_decref(new);
	} else if (json_is_array(at)) {
		assert_int_equal(json_array_set_new(at, (size_t)atoi(key),
		    new), 0);
	} else if (value == NULL) {
		assert_int_equal(json_object_del(at, key), 0);
	} else {
		assert_int_equal(json_object_set_new(at, key, new), 0);
	}
}

static json_t *
end_a_pair(void)
{
	struct lane_pair pair = pair_open("127.0.0.1", free_port());
	json_t *saved;

	pair_steer(&pair, STEER_SOURCE_IP, 500);
	assert_int_equal(shard_label(pair.shards[0]), 0);
	saved = listener_save();
	end_supd();
	return saved;
}

static void
test_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *damage = &damages[i];
		json_t *saved = end_a_pair();
		int result;

		set_at(saved, damage->path, damage->value);
		text[0] = '\0';
		result = listener_restore(saved, text);
		if ((result == 0) != (damage->says == NULL) ||
		    (result != 0 && strstr(text, damage->says) == NULL))
			fail_msg("%s = %s: %d: %s", damage->path,
			    damage->value, result, text);
		if (result != 0) {
			assert_null(listener_first());
			/* They wait to be bound again. */
			assert_int_equal(carry_leave(), 2);
		}
		listener_restored();
		json_decref(saved);
		forget_changes();
	}
}

static void
test_not_a_list(void **state)
{
	json_t *saved = json_object();

	(void)state;
	assert_int_equal(listener_restore(saved, text), -1);
	assert_non_null(strstr(text, "list of at most 512"));
	assert_int_equal(listener_restore(NULL, text), -1);
	json_decref(saved);
	saved = json_array();
	for (int i = 0; i <= 512; i++)
		json_array_append_new(saved, json_object());
	assert_int_equal(listener_restore(saved, text), -1);
	assert_non_null(strstr(text, "list of at most 512"));
	json_decref(saved);
}

static void
expect_clash(json_t *saved, const char *where)
{
	assert_int_equal(listener_restore(saved, text), -1);
	assert_non_null(strstr(text, where));
	assert_non_null(strstr(text, "has the number"));
	assert_int_equal(carry_leave(), 2);
	json_decref(saved);
}

static void
test_numbers_clash(void **state)
{
	struct listener_spec spec = spec_of(SPEC_IPV4), other;
	json_t *saved;

	(void)state;
	(void)open_or_fail(&spec);
	other = spec_of(SPEC_IPV6);
	(void)open_or_fail(&other);
	saved = listener_save();
	end_supd();
	set_at(saved, "0/shards/0/number", "1");
	set_at(saved, "1/shards/0/number", "1");
	expect_clash(saved, "listener 2");
	saved = end_a_pair();
	set_at(saved, "0/shards/0/number", "1");
	set_at(saved, "0/shards/1/number", "1");
	expect_clash(saved, "listener 1");
}

/* As one that has a part at an address, a shard of another is none. */
static void
test_shard_of_another_address(void **state)
{
	static const char *const parts[] = { "0/stable", "0/candidate" };
	char number[16];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct listener_spec spec = spec_of(SPEC_IPV6);
		struct shard *other = open_or_fail(&spec);
		struct lane_pair pair = pair_open("127.0.0.1", free_port());
		struct steering now;
		uint32_t numbers[LANES];
		json_t *saved;

		pair_steer(&pair, STEER_RANDOM, 500);
		numbers_of(&pair, numbers);
		snprintf(number, sizeof(number), "%u", other->number);
		saved = listener_save();        /* the newest comes first */
		end_supd();
		set_at(saved, parts[i], number);
		restore_or_fail(saved);
		pair = pair_again(numbers);
		listener_restored();
		now = *listener_steering(pair.listener);
		assert_ptr_equal(now.stable, pair.shards[i == 0 ? 1 : 0]);
		assert_null(now.candidate);
		assert_int_equal(listener_steer(pair.listener, &now, text), 0);
		pair_close(&pair);
		json_decref(saved);
		forget_changes();
	}
}

/* More labels at one address than there can be. */
static void
test_too_many_shards(void **state)
{
	json_t *saved = end_a_pair(), *one = json_array_get(saved, 0);
	char name[32], number[64];

	(void)state;
	for (int i = 1; i < 3; i++) {
		json_array_append_new(saved, json_deep_copy(one));
		for (int k = 0; k < 2; k++) {
			snprintf(name, sizeof(name), "%d/shards/%d", i, k);
			snprintf(number, sizeof(number),
			    "{\"number\":%d,\"inode\":1,\"label\":%d}",
			    1000 + 2 * i + k, 2 * i + k);
			set_at(saved, name, number);
		}
		snprintf(name, sizeof(name), "%d/number_last", i);
		set_at(saved, name, "2000");
	}
	assert_int_equal(listener_restore(saved, text), -1);
	assert_non_null(strstr(text, "SHARDS_MAX"));
	assert_null(listener_first());
	assert_int_equal(carry_leave(), 2);
	json_decref(saved);
}

/*
 * Whatever it says: nothing crashes, and nothing is left
 */

static uint32_t random_state = 1;

static uint32_t
draw(uint32_t below)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(random_state >> 8) * below >> 24);
}

/* Bytes of it; what is no JSON any more is not ours to read. */
static json_t *
mutate(const json_t *saved)
{
	static const char bytes[] = "0123456789-\"{}[],:.eutf";
	char *dump = json_dumps(saved, JSON_COMPACT);
	json_t *mutant = NULL;

	do {
		uint32_t at = draw((uint32_t)strlen(dump));
		char before = dump[at];

		dump[at] = bytes[draw(sizeof(bytes) - 1)];
		json_decref(mutant);
		mutant = json_loads(dump, JSON_DECODE_ANY, NULL);
		if (mutant == NULL)
			dump[at] = before;
	} while (mutant == NULL || draw(4) != 0);
	free(dump);
	return mutant;
}

static void
test_any_damage(void **state)
{
	enum { ROUNDS = 1000 };
	int before = 0, restored = 0;

	(void)state;
	listener_on_change(NULL, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		json_t *saved = end_a_pair(), *mutant = mutate(saved);

		if (listener_restore(mutant, text) == 0) {
			struct shard *shard = listener_first() != NULL ?
			    shard_ref(listener_first()->shards[0]) : NULL;

			restored += shard != NULL;
			listener_restored();
			if (shard != NULL && listener_join(shard->listener,
			    text) != NULL)
				shard_unref(shard->listener->shards[
				    shard->listener->shard_count - 1]);
			shard_unref(shard);
		}
		(void)carry_leave();
		json_decref(saved);
		json_decref(mutant);
		assert_null(listener_first());
		if (i == 0)
			before = count_fds();
		assert_int_equal(count_fds(), before);
	}
	/* The damage is not always to be seen, or there would be no test. */
	assert_in_range(restored, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static int
group(void)
{
	const struct CMUnitTest tests[] = {
		KEEP_TEST(test_what_is_wrong),
		KEEP_TEST(test_not_a_list),
		KEEP_TEST(test_numbers_clash),
		KEEP_TEST(test_shard_of_another_address),
		KEEP_TEST(test_too_many_shards),
		KEEP_TEST(test_any_damage),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

int
main(void)
{
	return run_apart(group, true);
}
