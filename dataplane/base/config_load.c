/* SPDX-License-Identifier: BSD-2-Clause
 *
 * config_load.c - reads sluice.yaml: what stands at the top, and defaults.
 *
 * Called by every program at start, by `sluice check` and on SIGHUP. Reads the
 * file once and keeps nothing open. Errors: -ENOENT and other -errno of
 * reading, -EINVAL with the place, -ENOMEM.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config_priv.h"
#include "sluice/assert.h"
#include "sluice/clock.h"

#define FILE_BYTES_MAX (16u << 20)
#define WORKERS_MAX    256
#define HOUR_NS        (3600 * NS_PER_S)
#define DAY_NS         (24 * HOUR_NS)

#define AT(member) offsetof(struct config, member)

static int read_workers(struct config_reader *r, const struct config_node *n,
			void *to)
{
	return config_read_number(r, n, 1, WORKERS_MAX, to);
}

static int read_segment_size(struct config_reader *r,
			     const struct config_node *n, void *to)
{
	uint64_t bytes;
	int res = config_read_size(r, n, &bytes);
	if (res != 0)
		return res;
	if (bytes < 1ULL << 20 || bytes > 1ULL << 40)
		return config_fail(r, n,
				   "'%s' is no size for a segment; write "
				   "1MiB to 1TiB",
				   n->text);
	*(uint64_t *)to = bytes;
	return 0;
}

static int read_outcome_sync(struct config_reader *r,
			     const struct config_node *n, void *to)
{
	static const char *const words[] = {"batch", "message", NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(bool *)to = i == 1;
	return res;
}

static int read_log_level(struct config_reader *r, const struct config_node *n,
			  void *to)
{
	static const char *const words[] = {"debug", "info", "warn", "error",
					    NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(enum log_level *)to = (enum log_level)i;
	return res;
}

static int read_log_format(struct config_reader *r, const struct config_node *n,
			   void *to)
{
	static const char *const words[] = {"text", "json", NULL};
	uint32_t i;
	int res = config_read_word(r, n, words, &i);
	if (res == 0)
		*(enum log_format *)to = (enum log_format)i;
	return res;
}

static const struct config_key keys_spool[] = {
	{"dir", config_read_path, AT(spool.dir), NULL},
	{"min_free", config_read_size, AT(spool.min_free_bytes), NULL},
	{"min_free_inodes", config_read_count, AT(spool.min_free_inodes), NULL},
	{"segment_size", read_segment_size, AT(spool.segment_bytes), NULL},
	{"outcome_sync", read_outcome_sync, AT(spool.outcome_sync_message),
	 NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_run[] = {
	{"dir", config_read_path, AT(run.dir), NULL},
	{"socket", config_read_path, AT(run.socket), NULL},
	{"user", config_read_text, AT(run.user), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_retry[] = {
	{"first", config_read_duration, AT(retry.first_ns), NULL},
	{"max", config_read_duration, AT(retry.max_ns), NULL},
	{"lifetime", config_read_duration, AT(retry.lifetime_ns), NULL},
	{"block_max_age", config_read_duration, AT(retry.block_max_age_ns),
	 NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_log[] = {
	{"level", read_log_level, AT(log.level), NULL},
	{"format", read_log_format, AT(log.format), NULL},
	{NULL, NULL, 0, NULL},
};

static const struct config_key keys_classify[] = {
	{"rules", config_read_path, AT(rules), NULL},
	{NULL, NULL, 0, NULL},
};

/* Sources before the pools that name them, pools before providers. */
static const struct config_key keys_top[] = {
	{"spool", NULL, 0, keys_spool},
	{"run", NULL, 0, keys_run},
	{"workers", read_workers, AT(workers), NULL},
	{"resolver", config_read_resolver, 0, NULL},
	{"retry", NULL, 0, keys_retry},
	{"delivery", NULL, 0, config_keys_delivery},
	{"log", NULL, 0, keys_log},
	{"classify", NULL, 0, keys_classify},
	{"listen", config_read_listens, 0, NULL},
	{"sources", config_read_sources, 0, NULL},
	{"pools", config_read_pools, 0, NULL},
	{"providers", config_read_providers, 0, NULL},
	{"domains", config_read_domains, 0, NULL},
	{"reputation", config_read_reputation, 0, NULL},
	{"control", config_read_control, 0, NULL},
	{"shaper", config_read_shaper, 0, NULL},
	{NULL, NULL, 0, NULL},
};

static void config_defaults(struct config *c)
{
	c->spool.min_free_bytes = 1ULL << 30;
	c->spool.min_free_inodes = 10000;
	c->spool.segment_bytes = 64ULL << 20;
	c->workers = 1;
	c->retry.first_ns = 300 * NS_PER_S;
	c->retry.max_ns = 4 * HOUR_NS;
	c->retry.lifetime_ns = 5 * DAY_NS;
	c->retry.block_max_age_ns = 14 * DAY_NS;
	c->resolver.timeout_ns = 20 * NS_PER_S;
	config_delivery_defaults(c);
	c->log.level = LOG_INFO_;
	c->log.format = LOG_JSON;
}

/* Texts that were not given. */
static int config_complete(struct config_reader *r)
{
	struct config *c = r->config;
	config_delivery_complete(c);
	if (c->spool.dir == NULL)
		c->spool.dir = config_strdup(r->arena, "/var/lib/sluice/spool");
	if (c->run.dir == NULL)
		c->run.dir = config_strdup(r->arena, CONFIG_RUN_DIR);
	if (c->spool.dir == NULL || c->run.dir == NULL)
		return config_out_of_memory(r);
	if (c->run.socket == NULL) {
		static const char file[] = "/" CONFIG_SOCKET;
		size_t len = strlen(c->run.dir);
		c->run.socket = config_alloc(r->arena, len + sizeof(file));
		if (c->run.socket == NULL)
			return config_out_of_memory(r);
		memcpy(c->run.socket, c->run.dir, len);
		memcpy(c->run.socket + len, file, sizeof(file));
	}
	return 0;
}

static int config_check(struct config_reader *r, const struct config_node *root)
{
	const struct config *c = r->config;
	const struct config_node *run = config_node_find(root, "run");
	const struct config_node *retry = config_node_find(root, "retry");
	struct sockaddr_un un;
	if (strlen(c->run.socket) >= sizeof(un.sun_path))
		return run == NULL ? err_set(r->e, -EINVAL,
					     "%s: run.socket is too "
					     "long; shorten run.dir",
					     r->name)
				   : config_fail(r, run,
						 "the path '%s' is too long "
						 "for a socket; shorten it "
						 "to %zu characters",
						 c->run.socket,
						 sizeof(un.sun_path) - 1);
	if (c->retry.first_ns > c->retry.max_ns) {
		sluice_assert(retry != NULL);
		return config_fail(r, retry,
				   "retry.first is longer than "
				   "retry.max; swap them");
	}
	return 0;
}

static int config_read(struct config_reader *r, const char *text)
{
	const struct config_node *root = NULL;
	config_defaults(r->config);
	int res = config_tree_parse(r->arena, text, r->name, &root, r->e);
	if (res == 0)
		res = config_read_map(r, root, keys_top, r->config, "the file");
	/* pool and provider number 0 are there in any case */
	if (res == 0 && r->config->pool_count == 0)
		res = config_read_pools(r, NULL, r->config);
	if (res == 0 && r->config->provider_count == 0)
		res = config_read_providers(r, NULL, r->config);
	if (res == 0)
		res = config_complete(r);
	if (res == 0)
		res = config_check(r, root);
	r->config->tree = root;
	return res;
}

int config_parse(const char *text, const char *name, struct config **out,
		 struct err *e)
{
	struct config_owner *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return err_set(e, -ENOMEM, "%s: out of memory", name);
	o->magic = CONFIG_MAGIC;
	struct config *c = &o->config;
	struct config_reader r = {name, &o->arena, c, e};
	int res = config_read(&r, text);
	if (res == 0) {
		c->path = config_strdup(&o->arena, name);
		if (c->path == NULL)
			res = config_out_of_memory(&r);
	}
	if (res != 0) {
		config_destroy(&c);
		return res;
	}
	*out = c;
	return 0;
}

void config_destroy(struct config **cp)
{
	struct config_owner *o = (struct config_owner *)*cp;
	*cp = NULL;
	if (o == NULL)
		return;
	MAGIC_CHECK(o, CONFIG_MAGIC);
	o->magic = 0;
	config_arena_fini(&o->arena);
	free(o);
}

static int file_read(FILE *f, char **text)
{
	size_t len = 0, max = 16384;
	char *buf = NULL;
	do {
		max *= 2;
		char *more = max <= FILE_BYTES_MAX ? realloc(buf, max) : NULL;
		if (more == NULL) {
			free(buf);
			return max <= FILE_BYTES_MAX ? -ENOMEM : -EFBIG;
		}
		buf = more;
		len += fread(buf + len, 1, max - 1 - len, f);
	} while (len == max - 1);
	if (ferror(f)) {
		int res = errno != 0 ? -errno : -EIO;
		free(buf);
		return res;
	}
	buf[len] = '\0';
	/* a zero byte would hide the rest of the file */
	if (strlen(buf) != len) {
		free(buf);
		return -EILSEQ;
	}
	*text = buf;
	return 0;
}

int config_file_read(const char *path, char **text, struct err *e)
{
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		int res = -errno;
		return err_set(e, res,
			       "%s: %s; name the file with --config or "
			       "create it",
			       path, err_name(res));
	}
	int res = file_read(f, text);
	(void)fclose(f);
	return res == 0 ? 0
			: err_set(e, res, "%s: cannot be read: %s", path,
				  err_name(res));
}

int config_load(const char *path, struct config **out, struct err *e)
{
	char *text = NULL;
	int res = config_file_read(path, &text, e);
	if (res != 0)
		return res;
	res = config_parse(text, path, out, e);
	free(text);
	return res;
}
