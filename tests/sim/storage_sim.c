/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_sim.c - the simulated disk's plan, its queue and its power switch.
 *
 * Called by tests; what the spool calls is in storage_sim_ops.c. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "storage_sim_priv.h"

int sim_call(struct storage_sim *s, bool *is_short)
{
	*is_short = false;
	if (s->off || s->dead)
		return -EIO;
	s->calls++;
	if (s->plan.cut_at && s->calls >= s->plan.cut_at) {
		s->off = true;
		return -EIO;
	}
	if (s->calls != s->plan.fail_at)
		return 0;
	*is_short = s->plan.fault == SIM_SHORT;
	s->dead = s->plan.fault == SIM_DEAD;
	return s->plan.fail_error ? s->plan.fail_error : -EIO;
}

static void work_run(struct storage_sim *s, const struct sim_work *w)
{
	size_t got = 0;
	int res;

	if (w->commit) {
		res = sim_commit_run(s, w->commit);
		w->commit->done(w->commit, res);
		return;
	}
	res = sim_pread(s, w->read->file, w->read->data, w->read->len,
			w->read->offset, &got);
	w->read->done(w->read, res ? res : (int)got);
}

bool storage_sim_poll(struct storage_sim *s)
{
	struct sim_work now[SIM_QUEUE_MAX];
	uint32_t count = s->queued, i;

	memcpy(now, s->queue, count * sizeof(now[0]));
	s->queued = 0;
	for (i = 0; i < count; i++)
		work_run(s, &now[i]);
	return count > 0;
}

struct storage storage_sim_storage(struct storage_sim *s)
{
	return (struct storage){&storage_sim_ops, s};
}

struct storage_sim *storage_sim_create(uint64_t seed)
{
	struct storage_sim *s = calloc(1, sizeof(*s));

	sluice_assert(s != NULL);
	s->random.state = seed * 0x9e3779b97f4a7c15ULL + 1;
	s->free_bytes = 1ULL << 40;
	s->free_inodes = 1u << 20;
	s->seen.entries = calloc(SIM_NAMES_MAX, sizeof(struct sim_name));
	s->disk.entries = calloc(SIM_NAMES_MAX, sizeof(struct sim_name));
	sluice_assert(s->seen.entries && s->disk.entries);
	return s;
}

void storage_sim_destroy(struct storage_sim **sp)
{
	struct storage_sim *s = *sp;

	*sp = NULL;
	while (s->inodes) {
		struct sim_inode *n = s->inodes;

		s->inodes = n->next;
		free(n->seen);
		free(n->disk);
		free(n->dirty);
		free(n);
	}
	free(s->changes);
	free(s->seen.entries);
	free(s->disk.entries);
	free(s);
}

void storage_sim_plan(struct storage_sim *s, const struct sim_plan *p)
{
	s->plan = *p;
	s->calls = 0;
	s->dead = false;
}

uint64_t storage_sim_calls(const struct storage_sim *s)
{
	return s->calls;
}

bool storage_sim_is_off(const struct storage_sim *s)
{
	return s->off;
}

void storage_sim_reboot(struct storage_sim *s)
{
	struct sim_inode *n;
	uint32_t i;

	sluice_assert(s->queued == 0);
	for (i = 0; i < s->change_count; i++)
		if (sim_below(&s->random, 2))
			sim_names_apply(&s->disk, &s->changes[i]);
	s->change_count = 0;
	for (n = s->inodes; n; n = n->next)
		sim_inode_cut(s, n);
	memcpy(s->seen.entries, s->disk.entries,
	       SIM_NAMES_MAX * sizeof(struct sim_name));
	s->seen.count = s->disk.count;
	s->off = false;
	s->dead = false;
	s->locked = false;
}

void storage_sim_restart(struct storage_sim *s)
{
	sluice_assert(s->queued == 0);
	s->off = false;
	s->dead = false;
	s->locked = false;
}

void storage_sim_free_space(struct storage_sim *s, uint64_t bytes,
			    uint64_t inodes)
{
	s->free_bytes = bytes;
	s->free_inodes = inodes;
}

void storage_sim_lock_away(struct storage_sim *s, bool locked)
{
	s->locked = locked;
}

bool storage_sim_bytes(struct storage_sim *s, const char *name, uint8_t **data,
		       uint64_t *len)
{
	struct sim_name *e = sim_name_find(&s->seen, name);

	if (!e || !e->inode)
		return false;
	*data = e->inode->seen;
	*len = e->inode->seen_len;
	return true;
}

bool storage_sim_cut_file(struct storage_sim *s, const char *name, uint64_t len)
{
	struct sim_name *e = sim_name_find(&s->seen, name);

	if (!e || !e->inode)
		return false;
	sim_inode_resize(e->inode, len);
	return true;
}

uint32_t storage_sim_file_count(struct storage_sim *s, const char *dir)
{
	char of[SIM_NAME_BYTES];
	uint32_t i, count = 0;

	for (i = 0; i < s->seen.count; i++) {
		sim_dir_of(s->seen.entries[i].name, of);
		count += s->seen.entries[i].used && s->seen.entries[i].inode &&
			 strcmp(of, dir) == 0;
	}
	return count;
}
