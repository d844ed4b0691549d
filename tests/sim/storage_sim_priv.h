/* SPDX-License-Identifier: BSD-2-Clause
 *
 * storage_sim_priv.h - inodes, names and dirt of the simulated disk.
 */
#ifndef STORAGE_SIM_PRIV_H
#define STORAGE_SIM_PRIV_H

#include "storage_sim.h"

#define SIM_SECTOR     512u
#define SIM_NAMES_MAX  4096u
#define SIM_NAME_BYTES 64u
#define SIM_QUEUE_MAX  256u

/* A file's bytes: what readers see, and what the platter has. */
struct sim_inode {
	uint8_t *seen, *disk;
	uint8_t *dirty; /* per sector */
	uint64_t seen_len, disk_len, max;
	uint32_t links; /* names and open files */
	struct sim_inode *next;
};

struct sim_name {
	char name[SIM_NAME_BYTES];
	struct sim_inode *inode; /* NULL: a directory */
	bool used;
};

/* A change of names that no directory sync has covered yet. */
struct sim_change {
	char from[SIM_NAME_BYTES]; /* "" = created */
	char to[SIM_NAME_BYTES];   /* "" = removed */
	struct sim_inode *inode;
	char dir[SIM_NAME_BYTES];
};

struct sim_names {
	struct sim_name *entries;
	uint32_t count;
};

struct sim_work {
	struct storage_commit *commit;
	struct storage_read *read;
};

struct storage_file {
	struct storage_sim *sim;
	struct sim_inode *inode;
	uint32_t flags;
};

struct storage_sim {
	struct sim_random random;
	struct sim_plan plan;
	uint64_t calls;
	bool off, dead, locked;
	uint64_t free_bytes, free_inodes;
	struct sim_names seen, disk;
	struct sim_change *changes;
	uint32_t change_count;
	struct sim_inode *inodes;
	struct sim_work queue[SIM_QUEUE_MAX];
	uint32_t queued;
};

/* storage_sim.c: 0, or why this call does not happen. */
int sim_call(struct storage_sim *s, bool *is_short);
/* storage_sim_ops.c */
extern const struct storage_ops storage_sim_ops;
int sim_pread(void *state, struct storage_file *f, void *buf, size_t len,
	      uint64_t offset, size_t *got);
int sim_commit_run(struct storage_sim *s, struct storage_commit *c);
/* storage_sim_files.c */
struct sim_inode *sim_inode_new(struct storage_sim *s);
void sim_inode_write(struct sim_inode *n, const void *data, size_t len,
		     uint64_t offset);
void sim_inode_resize(struct sim_inode *n, uint64_t len);
void sim_inode_synced(struct sim_inode *n);
/* The sync failed: any sector may or may not be down, all are clean. */
void sim_inode_sync_failed(struct storage_sim *s, struct sim_inode *n);
/* The power went. */
void sim_inode_cut(struct storage_sim *s, struct sim_inode *n);
struct sim_name *sim_name_find(struct sim_names *l, const char *name);
void sim_name_set(struct sim_names *l, const char *name,
		  struct sim_inode *inode, bool used);
void sim_names_apply(struct sim_names *l, const struct sim_change *c);
void sim_dir_of(const char *name, char dir[SIM_NAME_BYTES]);

#endif
