/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import_remove.h - removes many files at once.
 *
 * Freeing a file's blocks can wait for the disk (a file system mounted with
 * discard waits for each): removals go through io_uring, REMOVALS_MAX at a
 * time, so that they wait side by side. One thread. Without io_uring they are
 * done one by one.
 */
#ifndef SLUICE_CLI_IMPORT_REMOVE_H
#define SLUICE_CLI_IMPORT_REMOVE_H

struct removals;

struct removals *removals_create(void); /* NULL: out of memory */
/* Waits for what is under way. */
void removals_destroy(struct removals **r);
/* Removes `name` in `dir`. Takes `name` (from malloc). */
void removals_add(struct removals *r, int dir, char *name);

#endif
