/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_sim_files.c - bytes and names of the simulated disk.
 *
 * Called by storage_sim.c. Each inode keeps what readers see beside what the
 * platter has, and which sectors differ.
 */
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "storage_sim_priv.h"

struct sim_inode *sim_inode_new(struct storage_sim *s)
{
	struct sim_inode *n = calloc(1, sizeof(*n));

	sluice_assert(n != NULL);
	n->next = s->inodes;
	s->inodes = n;
	return n;
}

static void inode_grow(struct sim_inode *n, uint64_t len)
{
	uint64_t max = n->max ? n->max : 8192;

	if (len <= n->max)
		return;
	while (max < len)
		max *= 2;
	n->seen = realloc(n->seen, max);
	n->disk = realloc(n->disk, max);
	n->dirty = realloc(n->dirty, max / SIM_SECTOR);
	sluice_assert(n->seen && n->disk && n->dirty);
	memset(n->seen + n->max, 0, max - n->max);
	memset(n->disk + n->max, 0, max - n->max);
	memset(n->dirty + n->max / SIM_SECTOR, 0, (max - n->max) / SIM_SECTOR);
	n->max = max;
}

void sim_inode_write(struct sim_inode *n, const void *data, size_t len,
		     uint64_t offset)
{
	uint64_t i;

	if (len == 0)
		return;
	inode_grow(n, offset + len);
	memcpy(n->seen + offset, data, len);
	for (i = offset / SIM_SECTOR; i <= (offset + len - 1) / SIM_SECTOR; i++)
		n->dirty[i] = 1;
	if (offset + len > n->seen_len)
		n->seen_len = offset + len;
}

void sim_inode_resize(struct sim_inode *n, uint64_t len)
{
	inode_grow(n, len);
	if (len < n->seen_len)
		memset(n->seen + len, 0, n->seen_len - len);
	n->seen_len = len;
}

static void sector_down(struct sim_inode *n, uint64_t i)
{
	memcpy(n->disk + i * SIM_SECTOR, n->seen + i * SIM_SECTOR, SIM_SECTOR);
}

void sim_inode_synced(struct sim_inode *n)
{
	uint64_t i;

	for (i = 0; i < n->max / SIM_SECTOR; i++) {
		if (n->dirty[i])
			sector_down(n, i);
		n->dirty[i] = 0;
	}
	if (n->seen_len < n->disk_len)
		memset(n->disk + n->seen_len, 0, n->disk_len - n->seen_len);
	n->disk_len = n->seen_len;
}

void sim_inode_sync_failed(struct storage_sim *s, struct sim_inode *n)
{
	uint64_t i;

	for (i = 0; i < n->max / SIM_SECTOR; i++) {
		if (n->dirty[i] && sim_below(&s->random, 2))
			sector_down(n, i);
		n->dirty[i] = 0;
	}
	if (n->seen_len > n->disk_len)
		n->disk_len = n->seen_len;
}

/* A sector that was never written down may show what lay there before. */
static void sector_stale(struct storage_sim *s, struct sim_inode *n, uint64_t i)
{
	struct sim_inode *other = s->inodes;
	uint32_t skip = sim_below(&s->random, 8);

	while (skip-- > 0 && other->next)
		other = other->next;
	if (other == n || (i + 1) * SIM_SECTOR > other->max)
		return;
	memcpy(n->disk + i * SIM_SECTOR, other->disk + i * SIM_SECTOR,
	       SIM_SECTOR);
}

void sim_inode_cut(struct storage_sim *s, struct sim_inode *n)
{
	uint64_t i, old_len = n->disk_len;
	/* Which way a file leans differs, so that "all" and "none" happen. */
	uint32_t odds = sim_below(&s->random, 5);

	for (i = 0; i < n->max / SIM_SECTOR; i++) {
		if (!n->dirty[i])
			continue;
		n->dirty[i] = 0;
		if (sim_below(&s->random, 4) < odds)
			sector_down(n, i);
		else if (i * SIM_SECTOR >= old_len &&
			 sim_below(&s->random, 4) == 0)
			sector_stale(s, n, i);
	}
	if (n->seen_len != n->disk_len && sim_below(&s->random, 4) != 0)
		n->disk_len = n->seen_len;
	if (n->disk_len < n->max)
		memset(n->disk + n->disk_len, 0, n->max - n->disk_len);
	if (n->max)
		memcpy(n->seen, n->disk, n->max);
	n->seen_len = n->disk_len;
}

struct sim_name *sim_name_find(struct sim_names *l, const char *name)
{
	uint32_t i;

	for (i = 0; i < l->count; i++)
		if (l->entries[i].used && strcmp(l->entries[i].name, name) == 0)
			return &l->entries[i];
	return NULL;
}

void sim_name_set(struct sim_names *l, const char *name,
		  struct sim_inode *inode, bool used)
{
	struct sim_name *e = sim_name_find(l, name);
	uint32_t i;

	if (!e && !used)
		return;
	for (i = 0; !e && i < l->count; i++)
		if (!l->entries[i].used)
			e = &l->entries[i];
	if (!e) {
		sluice_assert(l->count < SIM_NAMES_MAX);
		e = &l->entries[l->count++];
	}
	memset(e, 0, sizeof(*e));
	strncpy(e->name, name, SIM_NAME_BYTES - 1);
	e->inode = inode;
	e->used = used;
}

void sim_names_apply(struct sim_names *l, const struct sim_change *c)
{
	if (c->from[0])
		sim_name_set(l, c->from, NULL, false);
	if (c->to[0])
		sim_name_set(l, c->to, c->inode, true);
}

void sim_dir_of(const char *name, char dir[SIM_NAME_BYTES])
{
	const char *slash = strrchr(name, '/');
	size_t len = slash ? (size_t)(slash - name) : 0;

	sluice_assert(len < SIM_NAME_BYTES);
	memcpy(dir, name, len);
	dir[len] = '\0';
}
