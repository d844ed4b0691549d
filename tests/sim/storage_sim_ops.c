/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_sim_ops.c - the calls of storage.h on the simulated disk.
 *
 * Called by the spool under test; commits and reads wait in the queue until
 * storage_sim_poll() runs them. One thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/assert.h"
#include "storage_sim_priv.h"

static int call(struct storage_sim *s)
{
	bool is_short;

	return sim_call(s, &is_short);
}

static void change_add(struct storage_sim *s, const char *from, const char *to,
		       struct sim_inode *inode)
{
	struct sim_change *c;

	s->changes = realloc(s->changes,
			     (s->change_count + 1) * sizeof(*s->changes));
	sluice_assert(s->changes != NULL);
	c = &s->changes[s->change_count++];
	memset(c, 0, sizeof(*c));
	strncpy(c->from, from, SIM_NAME_BYTES - 1);
	strncpy(c->to, to, SIM_NAME_BYTES - 1);
	c->inode = inode;
	sim_dir_of(to[0] ? to : from, c->dir);
	sim_names_apply(&s->seen, c);
}

static int sim_open(void *state, const char *name, uint32_t flags,
		    struct storage_file **out)
{
	struct storage_sim *s = state;
	struct sim_name *e = sim_name_find(&s->seen, name);
	struct storage_file *f;
	struct sim_inode *inode;
	int res = flags & STORAGE_CREATE ? call(s) : s->off ? -EIO : 0;

	if (res)
		return res;
	if (flags & STORAGE_CREATE) {
		if (e)
			return -EEXIST;
		inode = sim_inode_new(s);
		change_add(s, "", name, inode);
	} else {
		if (!e || !e->inode)
			return -ENOENT;
		inode = e->inode;
	}
	f = calloc(1, sizeof(*f));
	sluice_assert(f != NULL);
	f->sim = s;
	f->inode = inode;
	f->flags = flags;
	*out = f;
	return 0;
}

static void sim_close(void *state, struct storage_file **f)
{
	free(*f);
	*f = NULL;
}

static int sim_mkdir(void *state, const char *name)
{
	struct storage_sim *s = state;
	int res = call(s);

	if (!res && !sim_name_find(&s->seen, name))
		change_add(s, "", name, NULL);
	return res;
}

static int sim_list(void *state, const char *dir,
		    int (*each)(void *user, const char *name), void *user)
{
	struct storage_sim *s = state;
	char of[SIM_NAME_BYTES];
	uint32_t i;
	int res = s->off ? -EIO : 0;

	for (i = 0; i < s->seen.count && !res; i++) {
		const struct sim_name *e = &s->seen.entries[i];

		if (!e->used || !e->inode)
			continue;
		sim_dir_of(e->name, of);
		if (strcmp(of, dir) == 0)
			res = each(user,
				   e->name + (dir[0] ? strlen(dir) + 1 : 0));
	}
	return res;
}

static int sim_size(void *state, struct storage_file *f, uint64_t *bytes)
{
	struct storage_sim *s = state;

	if (s->off)
		return -EIO;
	*bytes = f->inode->seen_len;
	return 0;
}

int sim_pread(void *state, struct storage_file *f, void *buf, size_t len,
	      uint64_t offset, size_t *got)
{
	struct storage_sim *s = state;
	const struct sim_inode *n = f->inode;

	if (s->off || s->dead)
		return -EIO;
	if (offset >= n->seen_len)
		len = 0;
	else if (len > n->seen_len - offset)
		len = (size_t)(n->seen_len - offset);
	if (len > 0)
		memcpy(buf, n->seen + offset, len);
	*got = len;
	return 0;
}

static int sim_pwrite(void *state, struct storage_file *f, const void *buf,
		      size_t len, uint64_t offset)
{
	struct storage_sim *s = state;
	bool is_short;
	int res = sim_call(s, &is_short);

	sluice_assert(f->flags & STORAGE_WRITE);
	if (!res || is_short)
		sim_inode_write(f->inode, buf, res ? len / 2 : len, offset);
	return res;
}

static int sim_sync(void *state, struct storage_file *f)
{
	struct storage_sim *s = state;
	int res = call(s);

	if (res && !s->off)
		sim_inode_sync_failed(s, f->inode);
	if (!res && !s->plan.drop_syncs)
		sim_inode_synced(f->inode);
	return res;
}

static int sim_sync_dir(void *state, const char *dir)
{
	struct storage_sim *s = state;
	uint32_t i, left = 0;
	int res = call(s);

	if (res || s->plan.drop_dir_syncs)
		return res;
	for (i = 0; i < s->change_count; i++) {
		if (strcmp(s->changes[i].dir, dir) == 0)
			sim_names_apply(&s->disk, &s->changes[i]);
		else
			s->changes[left++] = s->changes[i];
	}
	s->change_count = left;
	return 0;
}

static int sim_truncate(void *state, struct storage_file *f, uint64_t bytes)
{
	int res = call(state);

	sluice_assert(f->flags & STORAGE_WRITE);
	if (!res)
		sim_inode_resize(f->inode, bytes);
	return res;
}

static int sim_preallocate(void *state, struct storage_file *f, uint64_t bytes)
{
	int res = call(state);

	if (!res && bytes > f->inode->seen_len)
		sim_inode_resize(f->inode, bytes);
	return res;
}

static int sim_rename(void *state, const char *from, const char *to)
{
	struct storage_sim *s = state;
	struct sim_name *e = sim_name_find(&s->seen, from);
	int res = call(s);

	if (res)
		return res;
	if (!e)
		return -ENOENT;
	change_add(s, from, to, e->inode);
	return 0;
}

static int sim_unlink(void *state, const char *name)
{
	struct storage_sim *s = state;
	struct sim_name *e = sim_name_find(&s->seen, name);
	int res;

	if (!e)
		return s->off ? -EIO : -ENOENT;
	res = call(s);
	if (!res)
		change_add(s, name, "", NULL);
	return res;
}

static int sim_free_space(void *state, uint64_t *bytes, uint64_t *inodes)
{
	struct storage_sim *s = state;

	*bytes = s->free_bytes;
	*inodes = s->free_inodes;
	return s->off ? -EIO : 0;
}

static int sim_lock(void *state)
{
	struct storage_sim *s = state;

	if (s->locked)
		return -EBUSY;
	return 0;
}

static int enqueue(struct storage_sim *s, struct storage_commit *c,
		   struct storage_read *r)
{
	if (s->queued == SIM_QUEUE_MAX)
		return -EAGAIN;
	s->queue[s->queued++] = (struct sim_work){c, r};
	return 0;
}

static int sim_commit(void *state, struct storage_commit *c)
{
	return enqueue(state, c, NULL);
}

static int sim_read(void *state, struct storage_read *r)
{
	return enqueue(state, NULL, r);
}

/* Writes in any order, then a sync of each file. */
int sim_commit_run(struct storage_sim *s, struct storage_commit *c)
{
	uint32_t i, k, first = sim_below(&s->random, c->count);
	int res = 0;

	for (i = 0; i < c->count && !res; i++) {
		struct storage_write *w = &c->writes[(first + i) % c->count];

		res = sim_pwrite(s, w->file, w->data, w->len, w->offset);
	}
	for (i = 0; i < c->count && !res; i++) {
		for (k = 0; k < i; k++)
			if (c->writes[k].file == c->writes[i].file)
				break;
		if (k == i)
			res = sim_sync(s, c->writes[i].file);
	}
	return res;
}

static void sim_destroy(void **state)
{
	*state = NULL;
}

const struct storage_ops storage_sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.mkdir = sim_mkdir,
	.list = sim_list,
	.size = sim_size,
	.pread = sim_pread,
	.pwrite = sim_pwrite,
	.sync = sim_sync,
	.sync_dir = sim_sync_dir,
	.truncate = sim_truncate,
	.preallocate = sim_preallocate,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.free_space = sim_free_space,
	.lock = sim_lock,
	.commit = sim_commit,
	.read = sim_read,
	.destroy = sim_destroy,
};
