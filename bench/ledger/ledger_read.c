/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ledger_read.c - loads what must arrive.
 *
 * Called by the sink before it listens, and by tests.
 * Bound: the file is mapped; 48 bytes a message, 24 a recipient, 4..8 a slot.
 * Errors: -errno of the file; -EINVAL for a line that is none, with its place.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "common/buffer.h"
#include "ledger/ledger_priv.h"
#include "sluice/assert.h"

#define SLOTS_FIRST 4096
#define FIELDS      5

struct ledger *ledger_create(void)
{
	struct ledger *l = bench_calloc(1, sizeof(*l));

	l->slot_count = SLOTS_FIRST;
	l->slots = bench_calloc(l->slot_count, sizeof(*l->slots));
	return l;
}

void ledger_destroy(struct ledger **lp)
{
	struct ledger *l = *lp;

	if (!l)
		return;
	for (uint32_t i = 0; i < l->file_count; i++)
		munmap(l->files[i].data, l->files[i].len);
	free(l->files);
	free(l->entries);
	free(l->rcpts);
	free(l->slots);
	free(l);
	*lp = NULL;
}

uint64_t ledger_rcpt_hash(const char *rcpt, size_t len)
{
	return XXH3_64bits(rcpt, len);
}

uint32_t ledger_message(const struct ledger *l, uint64_t seed, uint64_t index)
{
	uint32_t at = ledger_slot(l, seed, index);

	while (l->slots[at]) {
		const struct ledger_entry *en = &l->entries[l->slots[at] - 1];

		if (en->seed == seed && en->index == index)
			return l->slots[at] - 1;
		at = (at + 1) & (l->slot_count - 1);
	}
	return UINT32_MAX;
}

static void slot_put(struct ledger *l, uint32_t number)
{
	const struct ledger_entry *en = &l->entries[number];
	uint32_t at = ledger_slot(l, en->seed, en->index);

	while (l->slots[at])
		at = (at + 1) & (l->slot_count - 1);
	l->slots[at] = number + 1;
}

static void entry_add(struct ledger *l, const struct ledger_entry *en)
{
	if (l->entry_count == l->entry_room) {
		l->entry_room = l->entry_room ? l->entry_room * 2 : 1024;
		l->entries = bench_realloc(l->entries, l->entry_room,
					   sizeof(*l->entries));
	}
	l->entries[l->entry_count++] = *en;
	if (l->entry_count > l->slot_count / 2) {
		free(l->slots);
		l->slot_count *= 2;
		l->slots = bench_calloc(l->slot_count, sizeof(*l->slots));
		for (uint32_t i = 0; i + 1 < l->entry_count; i++)
			slot_put(l, i);
	}
	slot_put(l, l->entry_count - 1);
}

static void rcpt_add(struct ledger *l, const char *line, uint64_t hash)
{
	if (l->rcpt_count == l->rcpt_room) {
		l->rcpt_room = l->rcpt_room ? l->rcpt_room * 2 : 1024;
		l->rcpts = bench_realloc(l->rcpts, l->rcpt_room,
					 sizeof(*l->rcpts));
	}
	l->rcpts[l->rcpt_count++] = (struct ledger_rcpt){hash, line, 0, 0};
}

/* "<seed>-<index>" of exactly `len` bytes. */
static int id_parse(const char *p, size_t len, uint64_t *seed, uint64_t *index)
{
	uint64_t v[2] = {0, 0};
	int which = 0;

	if (len == 0 || p[0] == '-' || p[len - 1] == '-')
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (p[i] == '-' && which == 0)
			which = 1;
		else if (p[i] >= '0' && p[i] <= '9')
			v[which] = v[which] * 10 + (uint64_t)(p[i] - '0');
		else
			return -EINVAL;
	}
	*seed = v[0];
	*index = v[1];
	return which ? 0 : -EINVAL;
}

static int line_load(struct ledger *l, const char *line, size_t len)
{
	const char *field[FIELDS], *p = line, *end = line + len;
	struct ledger_entry en = {0}, *last;
	size_t flen[FIELDS];

	for (int i = 0; i < FIELDS; i++) {
		const char *tab = memchr(p, '\t', (size_t)(end - p));

		if (!tab != (i == FIELDS - 1))
			return -EINVAL;
		field[i] = p;
		flen[i] = (size_t)((tab ? tab : end) - p);
		p = tab ? tab + 1 : end;
	}
	if (id_parse(field[0], flen[0], &en.seed, &en.index) != 0 ||
	    digest_parse(field[3], flen[3], &en.digest) != 0 || flen[1] == 0)
		return -EINVAL;
	last = l->entry_count ? &l->entries[l->entry_count - 1] : NULL;
	if (!last || last->seed != en.seed || last->index != en.index) {
		if (ledger_message(l, en.seed, en.index) != UINT32_MAX)
			return -EEXIST;
		en.rcpt_first = l->rcpt_count;
		entry_add(l, &en);
		last = &l->entries[l->entry_count - 1];
	} else if (!digest_equal(&last->digest, &en.digest)) {
		return -EINVAL;
	}
	rcpt_add(l, line, ledger_rcpt_hash(field[1], flen[1]));
	last->rcpt_count++;
	return 0;
}

static int lines_load(struct ledger *l, const struct ledger_file *f,
		      const char *path, struct err *e)
{
	const char *p = f->data, *end = f->data + f->len;

	for (uint32_t number = 1; p < end; number++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);
		int err = 0;

		if (*p != '#' && len)
			err = nl ? line_load(l, p, len) : -EINVAL;
		if (err == -EEXIST)
			return err_set(e, -EINVAL,
				       "%s:%u: this message was there before",
				       path, number);
		if (err)
			return err_set(e, err, "%s:%u: no line of a ledger",
				       path, number);
		p += len + 1;
	}
	return 0;
}

int ledger_load(struct ledger *l, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ledger_file f;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0) {
		int err = -errno;

		if (fd >= 0)
			close(fd);
		return err_set(e, err, "cannot read ledger %s: %s", path,
			       err_name(err));
	}
	f.len = (size_t)st.st_size;
	if (f.len == 0) {
		close(fd);
		return 0;
	}
	f.data = mmap(NULL, f.len, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (f.data == MAP_FAILED)
		return err_set(e, -errno, "cannot map ledger %s: %s", path,
			       err_name(errno));
	l->files = bench_realloc(l->files, l->file_count + 1, sizeof(f));
	l->files[l->file_count++] = f;
	return lines_load(l, &f, path, e);
}
