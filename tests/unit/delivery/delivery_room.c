/* SPDX-License-Identifier: BSD-2-Clause
 *
 * delivery_room.c - the owner that delivery tests use.
 */
#include "delivery_room.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_WAIT_NS (20 * NS_PER_S)

static const char *const kinds[] = {[DELIVERY_ACCEPTED] = "accepted",
				    [DELIVERY_REFUSED] = "refused",
				    [DELIVERY_NOT_TRIED] = "not_tried",
				    [DELIVERY_LOST] = "lost",
				    [DELIVERY_IN_DOUBT] = "in_doubt",
				    [DELIVERY_UNSENDABLE] = "unsendable"};
static const char *const phases[] = {[0] = "-",
				     [PHASE_CONNECT] = "connect",
				     [PHASE_EHLO] = "ehlo",
				     [PHASE_STARTTLS] = "starttls",
				     [PHASE_AUTH] = "auth",
				     [PHASE_MAIL] = "mail",
				     [PHASE_RCPT] = "rcpt",
				     [PHASE_DATA] = "data",
				     [PHASE_EOM] = "eom",
				     [PHASE_QUIT] = "quit"};

static void on_ready(void *user, uint32_t provider, uint32_t source)
{
	struct room *r = user;

	r->ready++;
	r->may_offer = true;
}

static void on_attempt(void *user, uint64_t id, const uint32_t *rcpts,
		       uint32_t count, uint32_t source, uint64_t token)
{
	struct room *r = user;

	r->attempts++;
	r->attempt_rcpts += count;
	if (r->go == GO_NOW)
		delivery_go(r->d, token, 0);
	else if (r->go == GO_ERROR)
		delivery_go(r->d, token, -EIO);
	else if (r->go == GO_LATER)
		r->later[r->later_count++] = token;
}

static void keep(char *to, size_t size, const char *from)
{
	(void)snprintf(to, size, "%s", from ? from : "");
}

static void add_result(struct room *r, const struct delivery_result *k)
{
	size_t at = strlen(r->results);
	char code[8] = "-";

	if (k->reply)
		(void)snprintf(code, sizeof(code), "%u", k->reply->code);
	if (at + 64 > sizeof(r->results))
		return;
	(void)snprintf(r->results + at, sizeof(r->results) - at,
		       "%s%u:%s/%s/%s", at ? " " : "", k->rcpt, kinds[k->kind],
		       phases[k->phase], code);
}

static void on_done(void *user, uint32_t provider, uint32_t source, uint64_t id,
		    uint32_t batch, const struct delivery_result *results,
		    uint32_t count)
{
	struct room *r = user;

	r->done++;
	r->last_id = id;
	assert_int_equal(batch, 7);
	if (r->keep)
		r->kept = delivery_keep(r->d);
	for (uint32_t i = 0; i < count; i++) {
		add_result(r, &results[i]);
		r->relayed += results[i].relayed;
		assert_non_null(results[i].remote);
		assert_non_null(results[i].address);
	}
	keep(r->detail, sizeof(r->detail), results[count - 1].detail);
	keep(r->remote, sizeof(r->remote), results[0].remote);
	keep(r->address, sizeof(r->address), results[count - 1].address);
	if (results[0].reply)
		keep(r->reply_text, sizeof(r->reply_text),
		     results[0].reply->text);
}

static void on_connect_failed(void *user, uint32_t provider, uint32_t source,
			      uint32_t domain, uint8_t phase,
			      const struct smtp_reply *reply,
			      const char *remote, const char *detail)
{
	struct room *r = user;
	size_t at = strlen(r->failure);
	char code[8] = "-";

	r->failed++;
	r->may_offer = true;
	if (reply)
		(void)snprintf(code, sizeof(code), "%u", reply->code);
	(void)snprintf(r->failure + at, sizeof(r->failure) - at, "%s%s/%s",
		       at ? " " : "", phases[phase], code);
	keep(r->detail, sizeof(r->detail), detail);
	keep(r->remote, sizeof(r->remote), remote);
}

static void on_unroutable(void *user, uint32_t domain, bool permanent,
			  const char *detail)
{
	struct room *r = user;

	r->unroutable++;
	r->permanent = permanent;
	keep(r->detail, sizeof(r->detail), detail);
}

static void on_routed(void *user, uint32_t domain, const char *const *hosts,
		      uint32_t count, uint64_t ttl_ns)
{
	struct room *r = user;

	r->routed++;
	r->ttl_ns = ttl_ns;
	r->hosts[0] = '\0';
	for (uint32_t i = 0; i < count; i++) {
		size_t at = strlen(r->hosts);

		(void)snprintf(r->hosts + at, sizeof(r->hosts) - at, "%s%s",
			       at ? " " : "", hosts[i]);
	}
}

static const struct delivery_ops ops = {
	on_ready,      on_attempt, on_done,  on_connect_failed,
	on_unroutable, NULL,       on_routed};

void room_patience(struct room *r, uint64_t ns)
{
	struct config *c = &r->config;

	c->delivery.greeting_ns = ns;
	c->delivery.ehlo_ns = ns;
	c->delivery.mail_ns = ns;
	c->delivery.rcpt_ns = ns;
	c->delivery.data_command_ns = ns;
	c->delivery.data_ns = ns;
	c->delivery.eom_ns = ns;
	c->delivery.quit_ns = ns;
}

static void set_config(struct room *r, uint16_t port)
{
	static char names[3][8] = {"s1", "s2", "s3"};
	static char helo[] = "client.example.org", name[] = "default";
	struct config *c = &r->config;

	for (int i = 0; i < 3; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "127.0.0.%d", i + 1);
		assert_int_equal(addr_parse(text, 0, &r->sources[i].address),
				 0);
		r->sources[i].public_address = r->sources[i].address;
		r->sources[i].name = names[i];
		r->sources[i].helo = helo;
		r->providers[i].name = name;
		r->providers[i].connections_max = 4;
		r->providers[i].pace_max = (struct pace){100, NS_PER_S};
	}
	(void)snprintf(r->route, sizeof(r->route), "127.0.0.1:%u", port);
	r->providers[0].route = port ? r->route : NULL;
	c->sources = r->sources;
	c->source_count = 3;
	c->providers = r->providers;
	c->provider_count = 3;
	c->delivery.connect_ns = 300 * NS_PER_MS;
	room_patience(r, 300 * NS_PER_MS);
	c->delivery.idle_ns = 10 * NS_PER_S;
	c->delivery.connections_total = 8;
	c->delivery.port = port ? port : 25;
	c->resolver.timeout_ns = 2 * NS_PER_S;
}

void room_open(struct room *r, uint16_t port)
{
	struct io_options io = {.entries = 256,
				.recv_buffers = 64,
				.recv_buffer_bytes = 4096,
				.file_slots = 256};
	struct spool_options so = {0};
	char spool[80];
	struct err e = {""};

	memset(r, 0, sizeof(*r));
	strcpy(r->dir, "/tmp/sluice-delivery-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(spool, sizeof(spool), "%s/spool", r->dir);
	if (io_open(&r->io, &io, &e) ||
	    storage_uring_create(r->io, spool, &r->st, &e) ||
	    spool_open(&r->sp, &r->st, &so, NULL, NULL, &e))
		fail_msg("%s", e.text);
	r->messages = calloc(ROOM_MESSAGES_MAX, sizeof(*r->messages));
	set_config(r, port);
	r->may_offer = true;
}

void room_start(struct room *r)
{
	struct delivery_options o = {&r->config, r->sp, r->io,
				     r->config.delivery.connections_total};
	struct err e = {""};

	if (delivery_create(&r->d, &o, &ops, r, &e))
		fail_msg("%s", e.text);
	assert_int_equal(delivery_domain_set(r->d, 0, "example.net", 0), 0);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *f)
{
	return remove(path);
}

void room_close(struct room *r)
{
	delivery_destroy(&r->d);
	while (!spool_idle(r->sp)) {
		(void)io_step(r->io, 10 * NS_PER_MS);
		(void)spool_step(r->sp);
	}
	spool_close(&r->sp);
	r->st.ops->destroy(&r->st.state);
	io_close(&r->io);
	for (uint32_t i = 0; i < r->stored; i++)
		free(r->messages[i].more_rcpts);
	free(r->messages);
	(void)nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct stored_wait {
	int res;
	struct room_message *m;
};

static void on_stored(void *user, int res, const struct spool_stored *s)
{
	struct stored_wait *w = user;

	w->res = res;
	if (res)
		return;
	w->m->m.id = s->id;
	w->m->m.place = s->place;
	w->m->m.content_bytes = s->content_bytes;
	w->m->m.flags = s->flags;
}

static void write_content(struct room *r, struct spool_message *m,
			  const char *content, size_t len)
{
	while (len) {
		size_t n = len < 65536 ? len : 65536;
		int res = spool_message_write(m, content, n);

		if (res == -EAGAIN) {
			(void)spool_step(r->sp);
			(void)io_step(r->io, 10 * NS_PER_MS);
			continue;
		}
		assert_int_equal(res, 0);
		content += n;
		len -= n;
	}
}

struct room_message *room_store_pieces(struct room *r, struct envelope *env,
				       const char *piece, size_t len,
				       uint32_t count, uint32_t flags)
{
	struct room_message *m = &r->messages[r->stored];
	struct stored_wait w = {-EINPROGRESS, m};
	struct spool_message *sm;
	uint32_t *rcpts = m->rcpts;

	assert_true(r->stored < ROOM_MESSAGES_MAX);
	assert_int_equal(spool_message_begin(r->sp, env, flags, &sm), 0);
	for (uint32_t i = 0; i < count; i++)
		write_content(r, sm, piece, len);
	assert_int_equal(spool_message_finish(&sm, 0, on_stored, &w), 0);
	while (w.res == -EINPROGRESS) {
		(void)spool_step(r->sp);
		(void)io_step(r->io, 10 * NS_PER_MS);
	}
	assert_int_equal(w.res, 0);
	m->m.rcpt_count = env->rcpt_count < ROOM_RCPTS_MAX ? env->rcpt_count
							   : ROOM_RCPTS_MAX;
	if (m->m.rcpt_count > 16)
		rcpts = m->more_rcpts =
			calloc(m->m.rcpt_count, sizeof(uint32_t));
	for (uint32_t i = 0; i < m->m.rcpt_count; i++)
		rcpts[i] = i;
	m->m.rcpts = rcpts;
	m->m.batch = 7;
	r->stored++;
	return m;
}

struct room_message *room_store_env(struct room *r, struct envelope *env,
				    const char *content, size_t len,
				    uint32_t flags)
{
	return room_store_pieces(r, env, content, len, 1, flags);
}

struct room_message *room_store(struct room *r, const char *const *rcpts,
				uint32_t count, const char *content, size_t len,
				uint32_t flags)
{
	struct envelope_rcpt list[64] = {0};
	struct envelope env = {.sender = {"s@example.org", 13},
			       .rcpt_count = count,
			       .rcpts = list,
			       .arrival_s = 1};

	assert_true(count <= 64);
	for (uint32_t i = 0; i < count; i++)
		list[i].address =
			(struct text){rcpts[i], (uint32_t)strlen(rcpts[i])};
	return room_store_env(r, &env, content, len, flags);
}

void room_segment(struct room *r, char *path, size_t size)
{
	char dir[128];
	struct dirent *e;
	DIR *d;

	(void)snprintf(dir, sizeof(dir), "%s/spool/segments", r->dir);
	d = opendir(dir);
	assert_non_null(d);
	path[0] = '\0';
	while ((e = readdir(d)))
		if (e->d_name[0] != '.')
			(void)snprintf(path, size, "%s/%s", dir, e->d_name);
	closedir(d);
	assert_true(path[0]);
}

static void offer_all(struct room *r)
{
	while (r->may_offer && r->offered < r->stored) {
		struct room_message *m = &r->messages[r->offered];
		int res = delivery_offer(r->d, m->provider, m->source,
					 m->domain, &m->m);

		if (res == -EAGAIN) {
			r->may_offer = false;
			r->eagain++;
		} else if (res) {
			r->offer_error = res;
			r->may_offer = false;
		} else {
			r->offered++;
		}
	}
}

void room_turn(struct room *r)
{
	uint32_t n = r->later_count;

	r->later_count = 0;
	for (uint32_t i = 0; i < n; i++)
		delivery_go(r->d, r->later[i], 0);
	offer_all(r);
	(void)io_step(r->io, n ? 0 : 20 * NS_PER_MS);
	offer_all(r);
}

void room_run(struct room *r, const uint32_t *counter, uint32_t n)
{
	uint64_t until = clock_monotonic_ns() + ROOM_WAIT_NS;

	while (*counter < n) {
		if (clock_monotonic_ns() > until)
			fail_msg("waited in vain; results so far: %s; "
				 "failures: %s",
				 r->results, r->failure);
		room_turn(r);
	}
}

void room_run_for(struct room *r, uint64_t span_ns)
{
	uint64_t until = clock_monotonic_ns() + span_ns;

	while (clock_monotonic_ns() < until)
		room_turn(r);
}
