/*
 * Reading the build-id of an ELF file.
 *
 * The file is the user's and may be anything, also one that is being written
 * at this moment.  So nothing in it is believed: each structure is copied out
 * by a bounded read, every size is compared with what is left, and what does
 * not fit means that there is no build-id, which is never an error.  Both word
 * sizes are read, the machine's own byte order only.
 */
#include "pin_parts.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ELFDATA_NATIVE ELFDATA2LSB
#else
#define ELFDATA_NATIVE ELFDATA2MSB
#endif

enum {
	SEGMENTS_MAX = 256,
	NOTES_BYTES_MAX = 8192,         /* of one segment; the id comes early */
};

struct segments {
	uint64_t offset;
	unsigned count, size_bytes;
	bool wide;              /* ELFCLASS64 */
};

struct notes {
	uint64_t offset, size_bytes, align;
};

static bool
read_at(int fd, uint64_t offset, void *ret_bytes, size_t size_bytes)
{
	return offset <= INT64_MAX &&
	    pread(fd, ret_bytes, size_bytes, (off_t)offset) ==
	    (ssize_t)size_bytes;
}

static bool
read_header(int fd, bool wide, struct segments *ret_segments)
{
	Elf64_Ehdr long_header;
	Elf32_Ehdr header;

	if (wide && read_at(fd, 0, &long_header, sizeof(long_header)))
		*ret_segments = (struct segments){ long_header.e_phoff,
		    long_header.e_phnum, long_header.e_phentsize, true };
	else if (!wide && read_at(fd, 0, &header, sizeof(header)))
		*ret_segments = (struct segments){ header.e_phoff,
		    header.e_phnum, header.e_phentsize, false };
	else
		return false;
	return ret_segments->count <= SEGMENTS_MAX &&
	    ret_segments->offset <= INT64_MAX / 2 &&
	    ret_segments->size_bytes ==
	    (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
}

/* False if the segment does not hold notes. */
static bool
read_segment(int fd, const struct segments *segments, unsigned index,
    struct notes *ret_notes)
{
	uint64_t offset = segments->offset +
	    (uint64_t)index * segments->size_bytes;
	Elf64_Phdr long_entry;
	Elf32_Phdr entry;

	if (segments->wide) {
		if (!read_at(fd, offset, &long_entry, sizeof(long_entry)) ||
		    long_entry.p_type != PT_NOTE)
			return false;
		*ret_notes = (struct notes){ long_entry.p_offset,
		    long_entry.p_filesz, long_entry.p_align };
		return true;
	}
	if (!read_at(fd, offset, &entry, sizeof(entry)) ||
	    entry.p_type != PT_NOTE)
		return false;
	*ret_notes = (struct notes){ entry.p_offset, entry.p_filesz,
	    entry.p_align };
	return true;
}

static void
take_build_id(const unsigned char *bytes, size_t count,
    struct identity *identity)
{
	if (count > BUILD_ID_BYTES_MAX)
		count = BUILD_ID_BYTES_MAX;
	memcpy(identity->build_id, bytes, count);
	identity->build_id_bytes = (uint8_t)count;
}

static uint64_t
round_up(uint64_t size_bytes, uint64_t align)
{
	return (size_bytes + align - 1) & ~(align - 1);
}

/* A note's header has the same layout in both word sizes. */
static bool
find_build_id(const unsigned char *bytes, size_t count, uint64_t align,
    struct identity *identity)
{
	uint64_t description, next;
	Elf64_Nhdr note;

	while (count >= sizeof(note)) {
		memcpy(&note, bytes, sizeof(note));
		description = round_up(sizeof(note) + (uint64_t)note.n_namesz,
		    align);
		next = round_up(description + note.n_descsz, align);
		if (description + note.n_descsz > count)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz > 0 &&
		    note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    memcmp(bytes + sizeof(note), ELF_NOTE_GNU,
		    sizeof(ELF_NOTE_GNU)) == 0) {
			take_build_id(bytes + description, note.n_descsz,
			    identity);
			return true;
		}
		if (next > count)
			return false;
		bytes += next;
		count -= next;
	}
	return false;
}

static bool
read_notes(int fd, const struct notes *notes, struct identity *identity)
{
	unsigned char bytes[NOTES_BYTES_MAX];
	size_t count = notes->size_bytes < sizeof(bytes) ?
	    (size_t)notes->size_bytes : sizeof(bytes);

	return read_at(fd, notes->offset, bytes, count) &&
	    find_build_id(bytes, count, notes->align == 8 ? 8 : 4, identity);
}

bool
pin_elf_read(int fd, struct identity *ret_identity)
{
	unsigned char ident[EI_NIDENT];
	struct segments segments;
	struct notes notes;
	unsigned i;

	ret_identity->build_id_bytes = 0;
	if (!read_at(fd, 0, ident, sizeof(ident)) ||
	    memcmp(ident, ELFMAG, SELFMAG) != 0)
		return false;
	if (ident[EI_DATA] != ELFDATA_NATIVE ||
	    !read_header(fd, ident[EI_CLASS] == ELFCLASS64, &segments))
		return true;
	for (i = 0; i < segments.count; i++) {
		if (read_segment(fd, &segments, i, &notes) &&
		    read_notes(fd, &notes, ret_identity))
			break;
	}
	return true;
}
