/*
 * Comparing releases: identities as values, and the hash that a fingerprint
 * is made with.  Pure; pin.c fills the structures.
 */
#include "release.h"

#include <string.h>

bool
identity_equal(const struct identity *a, const struct identity *b)
{
	return a->device == b->device && a->inode == b->inode &&
	    a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns &&
	    a->build_id_bytes == b->build_id_bytes &&
	    memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
}

void
identity_build_id_text(const struct identity *identity, char *ret_text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < identity->build_id_bytes; i++) {
		ret_text[2 * i] = digits[identity->build_id[i] >> 4];
		ret_text[2 * i + 1] = digits[identity->build_id[i] & 15];
	}
	ret_text[2 * i] = '\0';
}

uint64_t
release_hash(uint64_t hash, const void *bytes, size_t size_bytes)
{
	const unsigned char *byte = bytes;
	size_t i;

	for (i = 0; i < size_bytes; i++)
		hash = (hash ^ byte[i]) * UINT64_C(1099511628211);
	return hash;
}
