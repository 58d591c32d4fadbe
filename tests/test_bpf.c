/*
 * The compiled programs, interpreted: exact weights, every instruction of
 * every program, both families, probes, and clients that stay where they are.
 * What the kernel makes of them is in test_steer.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bpf_machine.h"

enum {
	OLD = 3, NEW = 7,               /* members */
	PORT = 40001,                   /* of the first probe, then upwards */
	PROBED = 20,                    /* its member, then upwards */
};

static const uint32_t weights[] = { 1, 10, 50, 250, 333, 500, 999 };
enum { WEIGHT_COUNT = sizeof(weights) / sizeof(weights[0]) };

static struct bpf_program program;
static struct machine machine;

static void
compile(enum steer steer, uint32_t weight_permille, uint32_t probe_count)
{
	struct bpf_plan plan = {
		.steer = steer, .stable = OLD, .candidate = NEW,
		.weight_permille = weight_permille,
		.probe_count = probe_count,
	};

	for (uint32_t i = 0; i < probe_count; i++)
		plan.probes[i] = (struct bpf_probe){
			.port = (uint16_t)(PORT + i), .member = PROBED + i,
		};
	bpf_compile(&plan, &program);
	assert_true(machine_accepts(&program));
	machine_init(&machine, &program);
}

/* SplitMix64 (by Sebastiano Vigna, in the public domain). */
static uint64_t
draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
square(int64_t number)
{
	return (uint64_t)(number * number);
}

/* Within five standard deviations of the binomial distribution. */
static void
assert_share(uint64_t got, uint64_t count, uint64_t weight_permille)
{
	uint64_t mean = count * weight_permille / 1000;
	uint64_t variance = mean * (1000 - weight_permille) / 1000;

	if (square((int64_t)(got - mean)) > 25 * variance + 25)
		fail_msg("%u of %u at %u permille", (unsigned)got,
		    (unsigned)count, (unsigned)weight_permille);
}

static void
nothing_and_everything_are_exact(void **state)
{
	struct packet packet = packet_4("192.0.2.1", "192.0.2.9", 1024);
	static const uint32_t randoms[] = { 0, 1, 0x7fffffff, UINT32_MAX };

	(void)state;
	for (int steer = STEER_RANDOM; steer <= STEER_SOURCE_IP; steer++) {
		for (size_t i = 0; i < 4; i++) {
			packet.random = randoms[i];
			compile((enum steer)steer, 0, 0);
			assert_int_equal(program.count, 1);
			assert_int_equal(machine_run(&machine, &packet), OLD);
			compile((enum steer)steer, 1000, 0);
			assert_int_equal(program.count, 1);
			assert_int_equal(machine_run(&machine, &packet), NEW);
		}
	}
}

/* One draw from each of as many equal parts of all the words there are. */
static uint32_t
run_strata(uint32_t count)
{
	struct packet packet = packet_4("192.0.2.1", "192.0.2.9", 1024);
	uint32_t got = 0;

	for (uint64_t i = 0; i < count; i++) {
		packet.random = (uint32_t)((i << 32) / count);
		got += machine_run(&machine, &packet) == NEW;
	}
	return got;
}

static void
every_weight_is_exact(void **state)
{
	(void)state;
	for (uint32_t weight = 1; weight < 1000; weight++) {
		compile(STEER_RANDOM, weight, 0);
		assert_int_equal(run_strata(1000), weight);
	}
	for (size_t i = 0; i < WEIGHT_COUNT; i++) {
		compile(STEER_RANDOM, weights[i], i % 2);
		assert_int_equal(run_strata(1000000), weights[i] * 1000);
	}
}

static void
random_words_split_by_weight(void **state)
{
	struct packet packets[] = {
		packet_4("192.0.2.1", "192.0.2.9", 1024),
		packet_6("2001:db8::1", "2001:db8::9", 1024),
	};
	uint64_t seed = 1;

	(void)state;
	for (size_t i = 0; i < WEIGHT_COUNT; i++) {
		uint32_t got = 0, expected = 0;

		compile(STEER_RANDOM, weights[i], 0);
		for (int k = 0; k < 1000000; k++) {
			struct packet *packet = &packets[k % 2];

			packet->random = (uint32_t)draw(&seed);
			expected += (uint64_t)packet->random * 1000 <
			    (uint64_t)weights[i] << 32;
			got += machine_run(&machine, packet) == NEW;
		}
		/* The limit is rounded down: one word of them all. */
		assert_in_range(got, expected - 1, expected);
		assert_share(got, 1000000, weights[i]);
	}
}

/* The hash, as the decision found it. */
static uint32_t
hash_of(const struct packet *packet)
{
	(void)machine_run(&machine, packet);
	assert_false(machine.outside);
	return machine.a;
}

static void
neighbours_are_spread_evenly(void **state)
{
	static const uint32_t networks[] = { 0x0a000000, 0xc0a80000,
	    0x7f000000, 0xcb007100 };
	struct packet packet = packet_4("10.0.0.0", "192.0.2.9", 1024);
	struct packet long_packet = packet_6("2001:db8:1:2::", "2001:db8::9",
	    1024);

	(void)state;
	for (size_t i = 0; i < WEIGHT_COUNT; i++) {
		uint64_t got = 0, long_got = 0;

		compile(STEER_SOURCE_IP, weights[i], 0);
		for (uint32_t k = 0; k < 200000; k++) {
			packet_set_source_4(&packet, networks[k % 4] + k / 4);
			got += machine_run(&machine, &packet) == NEW;
			/* 1000 networks, 200 hosts in each */
			long_packet.bytes[14] = (uint8_t)(k % 1000 >> 8);
			long_packet.bytes[15] = (uint8_t)(k % 1000);
			long_packet.bytes[23] = (uint8_t)(k / 1000);
			long_got += machine_run(&machine, &long_packet) == NEW;
		}
		assert_share(got, 200000, weights[i]);
		assert_share(long_got, 200000, weights[i]);
	}
}

/* Each bit of an address changes each bit of the hash about every other time. */
static void
assert_avalanche(const struct packet *base, int first_byte, int byte_count)
{
	enum { ROUNDS = 2000 };
	static uint32_t flips[128][32];
	uint64_t seed = 2;

	memset(flips, 0, sizeof(flips));
	for (int round = 0; round < ROUNDS; round++) {
		struct packet packet = *base;
		uint32_t hash;

		for (int i = 0; i < byte_count; i++)
			packet.bytes[first_byte + i] = (uint8_t)draw(&seed);
		hash = hash_of(&packet);
		for (int bit = 0; bit < 8 * byte_count; bit++) {
			uint8_t *byte = &packet.bytes[first_byte + bit / 8];
			uint32_t changed;

			*byte ^= (uint8_t)(1 << bit % 8);
			changed = hash ^ hash_of(&packet);
			*byte ^= (uint8_t)(1 << bit % 8);
			for (int i = 0; i < 32; i++)
				flips[bit][i] += changed >> i & 1;
		}
	}
	for (int bit = 0; bit < 8 * byte_count; bit++)
		for (int i = 0; i < 32; i++)
			assert_in_range(flips[bit][i], ROUNDS * 2 / 5,
			    ROUNDS * 3 / 5);
}

static void
every_bit_of_the_address_counts(void **state)
{
	struct packet packet = packet_4("10.0.0.0", "192.0.2.9", 1024);
	struct packet long_packet = packet_6("2001:db8::", "2001:db8::9", 1024);

	(void)state;
	compile(STEER_SOURCE_IP, 500, 0);
	assert_avalanche(&packet, 12, 4);
	assert_avalanche(&long_packet, 8, 16);
}

static void
nothing_but_the_source_address_counts(void **state)
{
	struct packet packet = packet_4("10.1.2.3", "192.0.2.9", 1024), other;
	uint32_t hash;

	(void)state;
	compile(STEER_SOURCE_IP, 500, 1);
	hash = hash_of(&packet);
	other = packet_4("10.1.2.3", "198.51.100.1", 5000);
	other.random = 77;
	packet_add_options(&other, 3);
	assert_int_equal(hash_of(&other), hash);
	packet = packet_6("2001:db8::5", "2001:db8::9", 1024);
	hash = hash_of(&packet);
	other = packet_6("2001:db8::5", "::1", 5000);
	packet_add_extension(&other, 9);
	assert_int_equal(hash_of(&other), hash);
}

/* Addresses of both families, in a row and at random. */
static void
set_source(struct packet *packet, bool is_6, uint32_t number)
{
	uint64_t seed = number, words[2];

	if (!is_6) {
		packet_set_source_4(packet, number % 2 ? 0x0a000000 + number :
		    (uint32_t)draw(&seed));
		return;
	}
	words[0] = draw(&seed);
	words[1] = draw(&seed);
	memcpy(packet->bytes + 8, words, sizeof(words));
}

/*
 * 100,000 addresses, each at all weights from 1 to 1000 in turn: once it is the
 * candidate's it stays so, and at the end all are.
 */
static void
no_client_goes_back(void **state)
{
	enum { CLIENTS = 100000 };
	static bool moved[CLIENTS];
	struct packet packets[] = {
		packet_4("10.0.0.0", "192.0.2.9", 1024),
		packet_6("2001:db8::", "2001:db8::9", 1024),
	};
	uint32_t moved_count = 0;

	(void)state;
	for (uint32_t weight = 1; weight <= 1000; weight++) {
		compile(STEER_SOURCE_IP, weight, 0);
		for (uint32_t i = 0; i < CLIENTS; i++) {
			bool is_6 = i % 8 == 0;
			uint32_t member;

			set_source(&packets[is_6], is_6, i);
			member = machine_run(&machine, &packets[is_6]);
			if (member != NEW && moved[i])
				fail_msg("client %u went back at %u", i,
				    weight);
			if (member == NEW && !moved[i]) {
				moved[i] = true;
				moved_count++;
			}
		}
		if (weight % 100 == 0)
			assert_share(moved_count, CLIENTS, weight);
	}
	assert_int_equal(moved_count, CLIENTS);
}

/*
 * Probes
 */

static void
expect(const struct packet *packet, uint32_t member)
{
	assert_int_equal(machine_run(&machine, packet), member);
	assert_false(machine.outside);
}

static void
expect_probes_4(uint32_t probe_count, uint32_t other)
{
	struct packet packet;

	for (unsigned words = 0; words <= 10; words++) {
		for (uint32_t i = 0; i < probe_count; i++) {
			packet = packet_4("10.0.0.7", "10.0.0.7",
			    (uint16_t)(PORT + i));
			packet_add_options(&packet, words);
			expect(&packet, PROBED + i);
			packet = packet_4("10.0.0.8", "10.0.0.7",
			    (uint16_t)(PORT + i));
			packet_add_options(&packet, words);
			expect(&packet, other);
		}
		packet = packet_4("10.0.0.7", "10.0.0.7", PORT - 1);
		packet_add_options(&packet, words);
		expect(&packet, other);
		packet = packet_4("10.0.0.7", "10.0.0.7",
		    (uint16_t)(PORT + probe_count));
		expect(&packet, other);
	}
}

static void
expect_probes_6(uint32_t probe_count, uint32_t other)
{
	struct packet packet;

	for (uint32_t i = 0; i < probe_count; i++) {
		packet = packet_6("2001:db8:1:2::7", "2001:db8:1:2::7",
		    (uint16_t)(PORT + i));
		expect(&packet, PROBED + i);
		for (int byte = 8; byte < 24; byte++) {
			packet.bytes[byte] ^= 1;
			expect(&packet, other);
			packet.bytes[byte] ^= 1;
		}
		/* The port's bytes are where it would be looked for. */
		packet_add_extension(&packet, (uint8_t)(PORT >> 8));
		packet.bytes[41] = (uint8_t)(PORT & 0xff);
		expect(&packet, other);
	}
	packet = packet_6("::1", "::1", PORT - 1);
	expect(&packet, other);
	packet = packet_6("::1", "::1", (uint16_t)(PORT + probe_count));
	expect(&packet, other);
}

static void
probes_reach_their_member(void **state)
{
	(void)state;
	for (int steer = STEER_RANDOM; steer <= STEER_SOURCE_IP; steer++) {
		for (uint32_t n = 1; n <= PROBE_PORTS_MAX; n++) {
			compile((enum steer)steer, 0, n);
			expect_probes_4(n, OLD);
			expect_probes_6(n, OLD);
			compile((enum steer)steer, 1000, n);
			expect_probes_4(n, NEW);
			expect_probes_6(n, NEW);
		}
	}
}

static void
others_are_divided_beside_probes(void **state)
{
	struct packet packet = packet_4("10.0.0.7", "10.0.0.7", 9);
	uint64_t got = 0;

	(void)state;
	compile(STEER_RANDOM, 500, 2);
	packet.random = 0x7fffffff;
	expect(&packet, NEW);
	packet.random = 0x80000000;
	expect(&packet, OLD);
	compile(STEER_SOURCE_IP, 500, 2);
	for (uint32_t i = 0; i < 10000; i++) {
		packet_set_source_4(&packet, 0x0a000000 + i);
		got += machine_run(&machine, &packet) == NEW;
	}
	assert_share(got, 10000, 500);
}

/* Packets that come by everything that any program may have. */
static void
run_everything(void)
{
	static const char *sources[] = { "::1", "3::1", "0:0:3::1",
	    "::3:0:1", "::2" };
	struct packet packet;
	uint64_t seed = 3;

	for (uint16_t i = 0; i <= PROBE_PORTS_MAX; i++) {
		packet = packet_4("10.0.0.7", "10.0.0.7", (uint16_t)(PORT + i));
		(void)machine_run(&machine, &packet);
		packet = packet_6("::1", "::1", (uint16_t)(PORT + i));
		(void)machine_run(&machine, &packet);
	}
	packet_add_extension(&packet, 0);
	(void)machine_run(&machine, &packet);
	for (int i = 0; i < 20000; i++) {
		packet = packet_6(sources[i % 5], "::1", PORT);
		packet.random = (uint32_t)draw(&seed);
		(void)machine_run(&machine, &packet);
		packet = packet_4("10.0.0.7", "10.0.0.7", PORT);
		packet_set_source_4(&packet, (uint32_t)draw(&seed));
		packet.random = (uint32_t)draw(&seed);
		(void)machine_run(&machine, &packet);
	}
	assert_false(machine.outside);
}

static void
every_instruction_is_reached(void **state)
{
	static const uint32_t some[] = { 0, 1, 500, 999, 1000 };

	(void)state;
	for (uint32_t i = 0; i < 2 * 5 * (PROBE_PORTS_MAX + 1); i++) {
		enum steer steer = i % 2 ? STEER_SOURCE_IP : STEER_RANDOM;
		uint32_t weight = some[i / 2 % 5], probe_count = i / 10;

		compile(steer, weight, probe_count);
		run_everything();
		for (uint32_t at = 0; at < program.count; at++) {
			if (!machine.reached[at])
				fail_msg("steer %d, weight %u, %u probes: "
				    "instruction %u of %u", steer, weight,
				    probe_count, at, program.count);
		}
	}
}

/* As the kernel: member 0, and no look beyond the end. */
static void
a_cut_packet_is_no_probe(void **state)
{
	struct packet packet = packet_4("10.0.0.7", "10.0.0.7", PORT);

	(void)state;
	compile(STEER_RANDOM, 1000, 1);
	packet.size = 21;
	assert_int_equal(machine_run(&machine, &packet), 0);
	assert_true(machine.outside);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_and_everything_are_exact),
		cmocka_unit_test(every_weight_is_exact),
		cmocka_unit_test(random_words_split_by_weight),
		cmocka_unit_test(neighbours_are_spread_evenly),
		cmocka_unit_test(every_bit_of_the_address_counts),
		cmocka_unit_test(nothing_but_the_source_address_counts),
		cmocka_unit_test(no_client_goes_back),
		cmocka_unit_test(probes_reach_their_member),
		cmocka_unit_test(others_are_divided_beside_probes),
		cmocka_unit_test(every_instruction_is_reached),
		cmocka_unit_test(a_cut_packet_is_no_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
