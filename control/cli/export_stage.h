/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_stage.h - sluice-export/: where files wait until they are handed over.
 *
 * Inside the directory that is exported to, so that placing a file is one
 * rename. A Postfix never looks there. TOKEN in it names the session. One
 * thread. Errors: -errno with `e`.
 */
#ifndef SLUICE_CLI_EXPORT_STAGE_H
#define SLUICE_CLI_EXPORT_STAGE_H

#include "export.h"

#define STAGE_DIR "sluice-export"

struct stage {
	char *path; /* of the directory that is exported to */
	int base;   /* that directory */
	int dir;    /* sluice-export/ */
	uint32_t unsynced;
	char (*names)[32]; /* of those */
};

/* Creates sluice-export/ in `dir` and looks what is there. `staged_suffix`:
 * files that count as staged messages end with it ("" = an id alone). */
int stage_open(struct stage *s, const char *dir, const char *staged_suffix,
	       struct export_found *found, struct err *e);
/* `over`: the session came to its end, sluice-export/ goes. */
void stage_close(struct stage *s, bool over);
int stage_token(struct stage *s, const char *token, struct err *e);
/* A new file in it, mode 0600, in place of one that is there. */
int stage_create(struct stage *s, const char *name, int *fd, struct err *e);
int stage_write(int fd, const void *data, size_t len);
/* Everything that was created is durable. */
int stage_sync(struct stage *s, struct err *e);
/* All but TOKEN goes. */
int stage_clean(struct stage *s, struct err *e);
int dir_fsync(int dir, const char *what, struct err *e);

#endif
