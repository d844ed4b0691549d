/* SPDX-License-Identifier: BSD-2-Clause
 *
 * output_eml.c - one file per message, and their envelopes as JSON lines.
 *
 * DIR/<thousands>/<index>.eml holds the content with CRLF line ends;
 * DIR/envelopes.jsonl says of each: file, sender, recipients, arrival,
 * account, client.
 * Called by backlog. Bound: one message in memory. Errors: -errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backlog/output.h"

#define FILES_PER_DIR 1000

struct eml_output {
	int dir_fd;
	FILE *envelopes;
	uint64_t made; /* number of the newest directory + 1; 0 = none */
};

static int envelope_write(struct eml_output *o, const char *file,
			  const struct message *m)
{
	json_t *rcpts = json_array(), *j;
	char client[32];
	int bad;

	for (uint32_t i = 0; i < m->rcpt_count; i++)
		json_array_append_new(rcpts, json_string(m->rcpts[i]));
	snprintf(client, sizeof(client), "10.0.%u.%u", m->client / 250 % 250,
		 m->client % 250 + 1);
	j = json_pack("{s:s, s:s, s:o, s:I, s:s, s:s}", "file", file, "sender",
		      m->sender, "recipients", rcpts, "arrival",
		      (json_int_t)m->arrival_s, "account", m->account, "client",
		      client);
	if (!j)
		return -ENOMEM;
	bad = json_dumpf(j, o->envelopes, JSON_COMPACT);
	json_decref(j);
	return bad || fputc('\n', o->envelopes) == EOF ? -EIO : 0;
}

static int eml_put(void *state, const struct message *m, struct err *e)
{
	struct eml_output *o = state;
	uint64_t thousand = m->index / FILES_PER_DIR;
	char name[64];
	int err = 0;

	snprintf(name, sizeof(name), "%07llu", (unsigned long long)thousand);
	if (o->made != thousand + 1) {
		if (mkdirat(o->dir_fd, name, 0755) != 0 && errno != EEXIST)
			err = -errno;
		o->made = thousand + 1;
	}
	snprintf(name, sizeof(name), "%07llu/%010llu.eml",
		 (unsigned long long)thousand, (unsigned long long)m->index);
	if (!err)
		err = output_file(o->dir_fd, name, 0644, m->arrival_s,
				  &m->content);
	if (!err)
		err = envelope_write(o, name, m);
	return err ? err_set(e, err, "%s: %s", name, err_name(err)) : 0;
}

static int eml_finish(void *state, struct err *e)
{
	struct eml_output *o = state;
	int err = 0;

	if (ferror(o->envelopes))
		err = -EIO;
	if (fclose(o->envelopes) != 0 && !err)
		err = -errno;
	if (!err && syncfs(o->dir_fd) != 0)
		err = -errno;
	close(o->dir_fd);
	free(o);
	return err ? err_set(e, err, "cannot write: %s", err_name(err)) : 0;
}

int output_eml_open(const struct output_options *opt, struct output *out,
		    struct err *e)
{
	struct eml_output *o;
	char path[PATH_MAX];
	int err = output_mkdirs(opt->dir, 0755, e);

	if (err)
		return err;
	o = bench_calloc(1, sizeof(*o));
	snprintf(path, sizeof(path), "%s/envelopes.jsonl", opt->dir);
	o->envelopes = fopen(path, "ae");
	o->dir_fd = open(opt->dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (!o->envelopes || o->dir_fd < 0) {
		err = err_set(e, -errno, "%s: %s", path, err_name(errno));
		if (o->envelopes)
			fclose(o->envelopes);
		if (o->dir_fd >= 0)
			close(o->dir_fd);
		free(o);
		return err;
	}
	*out = (struct output){eml_put, eml_finish, o};
	return 0;
}
