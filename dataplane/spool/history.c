/* SPDX-License-Identifier: BSD-2-Clause
 *
 * history.c - looks through the journal for one message.
 *
 * Called by `sluice trace`. Role: spool. The files that count are found from
 * the one that is written, back from header to header. What is no record
 * (damage, or the rest of a commit that failed) is passed over, 8 bytes at a
 * time, up to where the file counts. Errors: -errno of the storage.
 */
#include "spool/history.h"

#include <stdlib.h>

#include "spool/spool_priv.h"

#define FILES_MAX 65536u

struct history_file {
	uint32_t number;
	uint64_t end; /* bytes that count */
};

struct spool_history {
	struct spool *sp;
	uint64_t id;
	struct spool_history_ops ops;
	void *user;
	struct history_file *files; /* newest first */
	uint32_t file_count, file_max;
	uint32_t left; /* files[left - 1] is next */
	struct storage_file *file;
	struct file_header header;
	uint64_t at, end; /* in the file */
	struct storage_read read;
	bool pending, arrived, orphan;
	int got; /* of the last read */
	int over;
	uint8_t buf[HISTORY_BUFFER_BYTES];
};

static int file_add(struct spool_history *h, uint32_t number, uint64_t end)
{
	uint32_t max = h->file_max ? h->file_max * 2 : 16;
	struct history_file *grown;

	if (h->file_count == FILES_MAX)
		return -EFBIG;
	if (h->file_count == h->file_max) {
		grown = realloc(h->files, max * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		h->files = grown;
		h->file_max = max;
	}
	h->files[h->file_count++] = (struct history_file){number, end};
	return 0;
}

static int file_open(struct spool_history *h, uint32_t number)
{
	const struct storage *st = &h->sp->st;
	char name[FILE_NAME_BYTES];
	int res;

	journal_name(number, name);
	res = st->ops->open(st->state, name, 0, &h->file);
	if (res) {
		h->file = NULL;
		return res;
	}
	res = file_header_read(st, h->file, JOURNAL_MAGIC, &h->header);
	if (res)
		st->ops->close(st->state, &h->file);
	if (res)
		h->file = NULL;
	return res;
}

static void file_close(struct spool_history *h)
{
	if (h->file)
		h->sp->st.ops->close(h->sp->st.state, &h->file);
	h->file = NULL;
}

/* From the newest to the oldest that is still there. */
static int files_find(struct spool_history *h)
{
	const struct journal *j = &h->sp->journal;
	uint32_t number = j->number;
	uint64_t end = j->end;
	int res = 0;

	while (!res && number != 0) {
		res = file_open(h, number);
		if (res == -ENOENT)
			return 0;
		if (!res)
			res = file_add(h, number, end);
		if (res)
			break;
		number = h->header.previous < number ? h->header.previous : 0;
		end = h->header.previous_end;
		file_close(h);
	}
	file_close(h);
	return res;
}

int spool_history_open(struct spool *sp, uint64_t id,
		       const struct spool_history_ops *ops, void *user,
		       struct spool_history **out)
{
	struct spool_history *h;
	int res;

	MAGIC_CHECK(sp, SPOOL_MAGIC);
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->sp = sp;
	h->id = id;
	h->ops = *ops;
	h->user = user;
	res = files_find(h);
	if (res) {
		spool_history_close(&h);
		return res;
	}
	h->left = h->file_count;
	*out = h;
	return 0;
}

static void history_free(struct spool_history *h)
{
	file_close(h);
	free(h->files);
	free(h);
}

void spool_history_close(struct spool_history **hp)
{
	struct spool_history *h = *hp;

	*hp = NULL;
	if (!h)
		return;
	if (h->pending)
		h->orphan = true; /* on_read() frees it */
	else
		history_free(h);
}

int spool_history_over(const struct spool_history *h)
{
	return h->over;
}

static void on_read(struct storage_read *r, int res)
{
	struct spool_history *h = r->user;

	h->sp->reads--;
	h->pending = false;
	h->arrived = true;
	h->got = res;
	if (h->orphan)
		history_free(h);
	else
		h->ops.wake(h->user);
}

static void see_outcome(struct spool_history *h, const uint8_t *b, uint32_t len)
{
	struct spool_outcome o;

	if (len < OUTCOME_FIXED_BYTES || get_le64(b) != h->id ||
	    !journal_outcome_read(b, len, &o))
		return;
	h->ops.outcome(h->user, &o);
}

static bool item_speaks(const struct spool_set_item *i, uint64_t id)
{
	if (i->count == 0)
		return i->id == id;
	return i->id <= id && id - i->id < i->count;
}

static void see_set(struct spool_history *h, const uint8_t *b, uint32_t len)
{
	uint32_t count;

	if (len < SET_FIXED_BYTES)
		return;
	count = get_le32(b + 8);
	if (count > SET_ITEMS_MAX ||
	    len != SET_FIXED_BYTES + count * SET_ITEM_BYTES)
		return;
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p =
			b + SET_FIXED_BYTES + (size_t)i * SET_ITEM_BYTES;
		struct spool_set_item item = {get_le64(p), get_le32(p + 8),
					      get_le32(p + 12)};

		if (item_speaks(&item, h->id))
			h->ops.set(h->user, (enum spool_set_kind)get_le32(b),
				   get_le32(b + 4), &item);
	}
}

static void see_note(struct spool_history *h, const uint8_t *b, uint32_t len)
{
	char key[NOTE_KEY_BYTES_MAX + 1];
	uint32_t key_bytes, value_bytes;

	if (len < NOTE_FIXED_BYTES)
		return;
	key_bytes = get_le32(b);
	value_bytes = get_le32(b + 4);
	if (key_bytes >= sizeof(key) || len - NOTE_FIXED_BYTES < key_bytes ||
	    len - NOTE_FIXED_BYTES - key_bytes != value_bytes)
		return;
	memcpy(key, b + NOTE_FIXED_BYTES, key_bytes);
	key[key_bytes] = '\0';
	h->ops.note(
		h->user, key,
		(struct text){(const char *)b + NOTE_FIXED_BYTES + key_bytes,
			      value_bytes});
}

static void see_record(struct spool_history *h, uint8_t type, const uint8_t *b,
		       uint32_t len)
{
	struct spool_stored m;
	struct spool_place p;

	if (type == JOURNAL_STORED && len >= STORED_FIXED_BYTES &&
	    get_le64(b) == h->id) {
		journal_stored_read(b, &m);
		h->ops.stored(h->user, &m.place);
	} else if (type == JOURNAL_STORED_REF && len == STORED_REF_BYTES &&
		   get_le64(b) == h->id) {
		p = (struct spool_place){.offset = get_le64(b + 8),
					 .segment = get_le32(b + 16),
					 .record_bytes_div8 = get_le32(b + 20)};
		h->ops.stored(h->user, &p);
	} else if (type == JOURNAL_ATTEMPT && len == ATTEMPT_BYTES &&
		   get_le64(b) == h->id) {
		h->ops.attempt(h->user, get_le32(b + 8), get_le32(b + 12),
			       get_le32(b + 16), get_le16(b + 20));
	} else if (type == JOURNAL_OUTCOME) {
		see_outcome(h, b, len);
	} else if (type == JOURNAL_SET) {
		see_set(h, b, len);
	} else if (type == JOURNAL_NOTE) {
		see_note(h, b, len);
	}
}

/* Bytes of the good record at `at`; 0: none; `have` + 1: it goes on behind
 * what is here. */
static size_t record_bytes_at(const struct spool_history *h, const uint8_t *p,
			      size_t have, uint64_t at)
{
	uint64_t seed = journal_seed(h->header.number, h->header.tag);
	size_t whole;
	uint32_t body;

	if (have < JOURNAL_HEADER_BYTES)
		return have + 1;
	body = get_le32(p + 12);
	if (get_le16(p + 8) != JOURNAL_RECORD_MAGIC ||
	    body > JOURNAL_BODY_BYTES_MAX)
		return 0;
	whole = journal_record_bytes(body);
	if (whole > h->end - at)
		return 0;
	if (whole > have)
		return have + 1;
	return XXH3_64bits_withSeed(p + 8, 8 + (size_t)body, seed ^ at) ==
			       get_le64(p)
		       ? whole
		       : 0;
}

/* Looks at all records that are here in full. */
static void buffer_see(struct spool_history *h)
{
	size_t have = (size_t)h->got, done = 0, bytes;

	while (done < have) {
		const uint8_t *p = h->buf + done;

		bytes = record_bytes_at(h, p, have - done, h->at + done);
		if (bytes > have - done)
			break;
		if (bytes > 0)
			see_record(h, p[10], p + JOURNAL_HEADER_BYTES,
				   get_le32(p + 12));
		done += bytes > 0 ? bytes : 8;
	}
	/* The rest of a file that ends short of a record. */
	if (done == 0 || h->at + have >= h->end)
		done = have;
	h->at += done;
}

/* False: there is no further file, or it cannot be read. */
static bool file_next(struct spool_history *h)
{
	const struct history_file *f;
	int res;

	if (h->left == 0) {
		h->over = 1;
		return false;
	}
	f = &h->files[--h->left];
	res = file_open(h, f->number);
	if (res) {
		h->over = res;
		return false;
	}
	h->at = FILE_HEADER_BYTES;
	h->end = f->end;
	return true;
}

static bool read_start(struct spool_history *h)
{
	uint64_t left = h->end - h->at;
	int res;

	h->read = (struct storage_read){
		.file = h->file,
		.data = h->buf,
		.len = left < sizeof(h->buf) ? (size_t)left : sizeof(h->buf),
		.offset = h->at,
		.done = on_read,
		.user = h,
	};
	h->pending = true;
	h->sp->reads++;
	res = h->sp->st.ops->read(h->sp->st.state, &h->read);
	if (!res)
		return false;
	h->pending = false;
	h->sp->reads--;
	if (res != -EBUSY && res != -EAGAIN)
		h->over = res;
	return !h->over;
}

bool spool_history_step(struct spool_history *h)
{
	if (h->over || h->pending)
		return false;
	if (h->arrived) {
		h->arrived = false;
		if (h->got < 0) {
			h->over = h->got;
			return false;
		}
		if (h->got == 0)
			h->at = h->end; /* shorter than it should be */
		buffer_see(h);
	}
	if (h->file && h->at >= h->end)
		file_close(h);
	if (!h->file && !file_next(h))
		return false;
	if (h->at >= h->end)
		return true;
	return read_start(h);
}
