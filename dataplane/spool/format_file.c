/* SPDX-License-Identifier: BSD-2-Clause
 *
 * format_file.c - FORMAT and the folders of a spool.
 *
 * Called by spool_open(), before anything else is read. Role: spool.
 * FORMAT is written aside, synced and renamed: it is whole or not there, and
 * no segment or journal exists before it. Errors: -EPROTO unknown version or
 * something that is no spool; -errno of the storage; each with a sentence.
 */
#include <stdio.h>
#include <stdlib.h>

#include "spool/spool_priv.h"

#define FORMAT_WORDS     "sluice spool format "
#define FORMAT_BYTES_MAX 64u

static int format_parse(const char *text, struct err *e)
{
	size_t words = strlen(FORMAT_WORDS);
	unsigned long version;

	if (strncmp(text, FORMAT_WORDS, words) != 0)
		return err_set(e, -EPROTO,
			       "FORMAT is not that of a spool; spool.dir "
			       "must name a spool or an empty directory");
	version = strtoul(text + words, NULL, 10);
	if (version == SPOOL_FORMAT_VERSION)
		return 0;
	return err_set(e, -EPROTO,
		       "the spool has format %lu, this program knows only "
		       "format %u; use the program that wrote it",
		       version, SPOOL_FORMAT_VERSION);
}

static int count_entry(void *user, const char *name)
{
	uint32_t *count = user;

	*count += file_number(name, ".seg") || file_number(name, ".jnl");
	return 0;
}

static int format_write(const struct storage *st)
{
	char text[FORMAT_BYTES_MAX];
	struct storage_file *f;
	int len, res;

	len = snprintf(text, sizeof(text), FORMAT_WORDS "%u\n",
		       SPOOL_FORMAT_VERSION);
	(void)st->ops->unlink(st->state, "FORMAT.new");
	res = st->ops->open(st->state, "FORMAT.new",
			    STORAGE_CREATE | STORAGE_WRITE, &f);
	if (res)
		return res;
	res = st->ops->pwrite(st->state, f, text, (size_t)len, 0);
	if (!res)
		res = st->ops->sync(st->state, f);
	st->ops->close(st->state, &f);
	if (!res)
		res = st->ops->rename(st->state, "FORMAT.new", "FORMAT");
	return res ? res : st->ops->sync_dir(st->state, "");
}

static int format_create(const struct storage *st, struct err *e)
{
	uint32_t count = 0;
	int res;

	res = st->ops->mkdir(st->state, "segments");
	if (!res)
		res = st->ops->mkdir(st->state, "journal");
	if (!res)
		res = st->ops->sync_dir(st->state, "");
	if (!res)
		res = st->ops->list(st->state, "segments", count_entry, &count);
	if (!res)
		res = st->ops->list(st->state, "journal", count_entry, &count);
	if (!res && count > 0)
		return err_set(e, -EPROTO,
			       "there are segments or journals but no FORMAT; "
			       "restore FORMAT, or move them away");
	if (!res)
		res = format_write(st);
	if (res)
		err_set(e, res, "the spool cannot be created: %s",
			err_name(res));
	return res;
}

/* Names that a stop left un-synced may be seen now and gone after a power cut:
 * nothing may be built on them before they are on disk. */
static int names_settle(const struct storage *st, struct err *e)
{
	int res = st->ops->sync_dir(st->state, "");

	if (!res)
		res = st->ops->sync_dir(st->state, "segments");
	if (!res)
		res = st->ops->sync_dir(st->state, "journal");
	if (res)
		err_set(e, res, "the spool's folders cannot be synced: %s",
			err_name(res));
	return res;
}

int format_check(const struct storage *st, struct err *e)
{
	char text[FORMAT_BYTES_MAX] = "";
	struct storage_file *f;
	size_t got = 0;
	int res;

	res = st->ops->open(st->state, "FORMAT", 0, &f);
	if (res == -ENOENT)
		return format_create(st, e);
	if (!res) {
		res = st->ops->pread(st->state, f, text, sizeof(text) - 1, 0,
				     &got);
		st->ops->close(st->state, &f);
	}
	if (res)
		return err_set(e, res, "FORMAT cannot be read: %s",
			       err_name(res));
	text[got] = '\0';
	res = format_parse(text, e);
	return res ? res : names_settle(st, e);
}
