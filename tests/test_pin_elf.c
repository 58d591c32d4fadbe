/*
 * Reading build-ids: from files made by hand, damaged ones above all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../src/pin_parts.h"

/* An ELF file with one note, of whose segment only `size_bytes` are said. */
static uint8_t
build_id_bytes_of(const char *name, uint32_t description_bytes,
    uint64_t size_bytes)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		Elf64_Nhdr note;
		char name[4];
		char description[64];
	} file = {
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
		    ELFDATA2LSB }, .e_phoff = sizeof(Elf64_Ehdr),
		    .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 1 },
		.segment = { .p_type = PT_NOTE, .p_offset =
		    sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
		    .p_filesz = size_bytes, .p_align = 4 },
		.note = { 4, description_bytes, NT_GNU_BUILD_ID },
	};
	int fd = memfd_create("elf", MFD_CLOEXEC);
	struct identity identity;

	memcpy(file.name, name, sizeof(file.name));
	if (__BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__)
		file.header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(write(fd, &file, sizeof(file)), sizeof(file));
	assert_true(pin_elf_read(fd, &identity));
	close(fd);
	return identity.build_id_bytes;
}

static void
test_elf_notes(void **state)
{
	(void)state;
	assert_int_equal(build_id_bytes_of("GNU", 8, 24), 8);
	assert_int_equal(build_id_bytes_of("GNU", 20, 80), 20);
	assert_int_equal(build_id_bytes_of("GNU", 64, 80), BUILD_ID_BYTES_MAX);
	assert_int_equal(build_id_bytes_of("GNU", 0, 80), 0);
	assert_int_equal(build_id_bytes_of("GNX", 8, 24), 0);
	assert_int_equal(build_id_bytes_of("GNX", 5, 21), 0);
	assert_int_equal(build_id_bytes_of("GNU", 8, 23), 0);
	assert_int_equal(build_id_bytes_of("GNU", UINT32_MAX, 80), 0);
	assert_int_equal(build_id_bytes_of("GNU", 8, UINT64_MAX), 0);
}

/* Each byte of the front matter changed at random, many times over. */
static void
test_damaged_elf(void **state)
{
	enum { FRONT_BYTES = 1024, ROUNDS = 20000 };
	static unsigned char front[FRONT_BYTES];
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int fd = memfd_create("elf", MFD_CLOEXEC), round, i;
	struct identity identity;
	unsigned seed = 1;

	(void)state;
	assert_true(from >= 0 && fd >= 0);
	assert_true(pin_elf_read(from, &identity));
	assert_int_equal(read(from, front, FRONT_BYTES), FRONT_BYTES);
	assert_int_equal(write(fd, front, FRONT_BYTES), FRONT_BYTES);
	for (round = 0; round < ROUNDS; round++) {
		unsigned char bytes[FRONT_BYTES];

		memcpy(bytes, front, FRONT_BYTES);
		for (i = 0; i < 4; i++) {
			seed = seed * 1103515245 + 12345;
			bytes[(seed >> 8) % FRONT_BYTES] = i % 2 ? 0xff :
			    (unsigned char)(seed >> 20);
		}
		assert_int_equal(pwrite(fd, bytes, FRONT_BYTES, 0),
		    FRONT_BYTES);
		(void)pin_elf_read(fd, &identity);
		assert_in_range(identity.build_id_bytes, 0,
		    BUILD_ID_BYTES_MAX);
	}
	for (i = 0; i < FRONT_BYTES; i += 7) {
		assert_int_equal(pwrite(fd, front, FRONT_BYTES, 0),
		    FRONT_BYTES);
		assert_int_equal(ftruncate(fd, i), 0);
		assert_int_equal(pin_elf_read(fd, &identity), i >= 16);
	}
	close(from);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elf_notes),
		cmocka_unit_test(test_damaged_elf),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
