/* SPDX-License-Identifier: BSD-2-Clause
 *
 * ledger_write.c - writes what must arrive.
 *
 * Called by backlog and accept for every message they make.
 * Bound: one line per recipient, buffered. Errors are kept and told at close.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "ledger/ledger.h"

struct ledger_writer {
	FILE *file;
	char *path;
};

int ledger_writer_open(struct ledger_writer **out, const char *path,
		       struct err *e)
{
	FILE *f = fopen(path, "we");
	struct ledger_writer *w;

	if (!f)
		return err_set(e, -errno, "cannot write ledger %s: %s", path,
			       err_name(errno));
	setvbuf(f, NULL, _IOFBF, 1 << 20);
	w = bench_calloc(1, sizeof(*w));
	w->file = f;
	w->path = strdup(path);
	fputs("# sluice-bench ledger 1: id, recipient, sender, digest "
	      "(XXH3-128), content bytes\n",
	      f);
	*out = w;
	return 0;
}

void ledger_writer_add(struct ledger_writer *w, const char *id,
		       const char *rcpt, const char *sender,
		       const struct digest *d, uint64_t content_bytes)
{
	char hex[DIGEST_TEXT_BYTES];

	fprintf(w->file, "%s\t%s\t%s\t%s\t%llu\n", id, rcpt, sender,
		digest_format(d, hex), (unsigned long long)content_bytes);
}

int ledger_writer_close(struct ledger_writer **wp, struct err *e)
{
	struct ledger_writer *w = *wp;
	int err = 0;

	if (!w)
		return 0;
	if (ferror(w->file))
		err = -EIO;
	if (fclose(w->file) != 0 && !err)
		err = -errno;
	if (err)
		err_set(e, err, "cannot write ledger %s: %s",
			w->path ? w->path : "", err_name(err));
	free(w->path);
	free(w);
	*wp = NULL;
	return err;
}
