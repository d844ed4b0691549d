/* SPDX-License-Identifier: BSD-2-Clause
 *
 * file.c - names and headers of segment and journal files.
 *
 * Called at open and when a new file is due. Role: spool.
 * A file counts only after its header, itself and its directory are synced.
 * The header is there twice, a sector each: without its tag no record of a
 * journal could be checked. Errors: -errno of the storage, -EBADMSG, -EPROTO.
 */
#include <stdio.h>

#include "spool/spool_priv.h"

void segment_name(uint32_t number, char out[FILE_NAME_BYTES])
{
	snprintf(out, FILE_NAME_BYTES, "segments/%08u.seg", number);
}

void journal_name(uint32_t number, char out[FILE_NAME_BYTES])
{
	snprintf(out, FILE_NAME_BYTES, "journal/%08u.jnl", number);
}

uint32_t file_number(const char *name, const char *suffix)
{
	uint64_t number = 0;
	const char *p = name;

	for (; *p >= '0' && *p <= '9'; p++) {
		number = number * 10 + (uint64_t)(*p - '0');
		if (number >= UINT32_MAX)
			return 0;
	}
	if (p - name < 8 || strcmp(p, suffix) != 0)
		return 0;
	return (uint32_t)number;
}

static void header_write(uint8_t out[FILE_HEADER_COPY_BYTES], uint64_t magic,
			 const struct file_header *h)
{
	memset(out, 0, FILE_HEADER_COPY_BYTES);
	put_le64(out, magic);
	put_le32(out + 8, SPOOL_FORMAT_VERSION);
	put_le32(out + 12, h->number);
	put_le64(out + 16, h->tag);
	put_le32(out + 24, h->created_s);
	put_le32(out + 28, h->previous);
	put_le64(out + 32, h->previous_end);
	put_le64(out + 56, XXH3_64bits_withSeed(out, 56, magic));
}

static int header_parse(const uint8_t in[FILE_HEADER_COPY_BYTES],
			uint64_t magic, struct file_header *out)
{
	if (get_le64(in) != magic ||
	    get_le64(in + 56) != XXH3_64bits_withSeed(in, 56, magic))
		return -EBADMSG;
	if (get_le32(in + 8) != SPOOL_FORMAT_VERSION)
		return -EPROTO;
	*out = (struct file_header){
		.number = get_le32(in + 12),
		.tag = get_le64(in + 16),
		.created_s = get_le32(in + 24),
		.previous = get_le32(in + 28),
		.previous_end = get_le64(in + 32),
	};
	return 0;
}

int file_header_read(const struct storage *st, struct storage_file *f,
		     uint64_t magic, struct file_header *out)
{
	uint8_t both[FILE_HEADER_BYTES] = {0};
	size_t got;
	int res;

	res = st->ops->pread(st->state, f, both, sizeof(both), 0, &got);
	if (res)
		return res;
	res = header_parse(both, magic, out);
	if (res == -EBADMSG)
		res = header_parse(both + FILE_HEADER_SECOND, magic, out);
	return res;
}

/* Header, file and directory on disk. */
static int file_settle(const struct storage *st, struct storage_file *f,
		       uint64_t magic, const struct file_header *h)
{
	uint8_t both[FILE_HEADER_BYTES] = {0};
	int res;

	header_write(both, magic, h);
	memcpy(both + FILE_HEADER_SECOND, both, FILE_HEADER_COPY_BYTES);
	res = st->ops->pwrite(st->state, f, both, sizeof(both), 0);
	if (!res)
		res = st->ops->sync(st->state, f);
	if (!res)
		res = st->ops->sync_dir(st->state, magic == SEGMENT_MAGIC
							   ? "segments"
							   : "journal");
	return res;
}

int file_create(const struct storage *st, uint64_t magic,
		const struct file_header *h, uint64_t preallocate_bytes,
		struct storage_file **out)
{
	char name[FILE_NAME_BYTES];
	struct storage_file *f;
	int res;

	if (magic == SEGMENT_MAGIC)
		segment_name(h->number, name);
	else
		journal_name(h->number, name);
	res = st->ops->open(st->state, name, STORAGE_CREATE | STORAGE_WRITE,
			    &f);
	if (res)
		return res;
	/* Only a help: without it, a full disk shows a little later. */
	if (preallocate_bytes)
		(void)st->ops->preallocate(st->state, f, preallocate_bytes);
	res = file_settle(st, f, magic, h);
	if (res) {
		st->ops->close(st->state, &f);
		(void)st->ops->unlink(st->state, name);
		return res;
	}
	*out = f;
	return 0;
}
