/* SPDX-License-Identifier: BSD-2-Clause
 *
 * path.c - files and directories of a measurement.
 *
 * Called by drain, on its thread. drain_remove() deletes only what lies below
 * the directory it is given, and follows no links.
 */
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>

#include "drain/drain_priv.h"
#include "sluice/assert.h"

struct drain_path drain_path(const struct drain *d, const char *name)
{
	struct drain_path p;
	int n = snprintf(p.text, sizeof(p.text), "%s/%s", d->dir, name);

	sluice_assert(n > 0 && (size_t)n < sizeof(p.text));
	return p;
}

int drain_text_write(const char *path, const char *fmt, ...)
{
	FILE *f = fopen(path, "we");
	va_list ap;
	int err = 0;

	if (!f)
		return -errno;
	va_start(ap, fmt);
	if (vfprintf(f, fmt, ap) < 0)
		err = -EIO;
	va_end(ap);
	if (fclose(f) != 0)
		err = -errno;
	return err;
}

static int entry_remove(const char *path, const struct stat *st, int kind,
			struct FTW *where)
{
	remove(path);
	return 0;
}

void drain_remove(const char *path)
{
	/* One thread here. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	nftw(path, entry_remove, 32, FTW_DEPTH | FTW_PHYS);
}
