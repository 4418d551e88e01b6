/* Handlers of events that misbehave, on the library's thread: no deadlock, no crash, and what is documented becomes of
 * the call, of the item and of the client. */
#include "threads.h"
#include "twin.h"

/* What a handler does with the item of the kind under test; those of the other kinds it frees. */
enum act {
    HOLD,         /* returns only when the call is over */
    KEEP,         /* returns, and the item is freed when the test ends */
    SEND,         /* a blocking call by the same client */
    SUBMIT,       /* a submitted one */
    UNSUBSCRIBE,  /* subscribes to nothing */
    SHUT_DOWN,    /* shuts the client down without waiting, then as HOLD */
    FREE_CLIENT,  /* frees the client, then as HOLD */
    CLOSE_QUEUE,  /* closes the queue that it is called from */
    REPLY_TWICE,  /* proceeds, then vetoes */
    VETO_TWICE,   /* vetoes, then proceeds */
    FREE_TWICE,
    ACTS
};

static const char *const act_names[] = {
    "hold", "keep", "send", "submit", "unsubscribe", "shut down", "free client", "close queue", "reply twice",
    "veto twice", "free twice",
};

struct handler {
    int32_t kind;
    enum act act;
    d365_client_t *client;
    d365_queue_t *queue;
    d365_request_t *request;
    d365_item_t *kept;
    int is_over;                /* the call that the test makes has returned */
    int events, seen;           /* of all kinds, of this kind: handled to their end */
    int completed, destroyed;
    d365_status_t said, again;  /* what the handler was told, the second time too */
    int32_t http_status;        /* of its call */
};

struct caller {
    d365_client_t *client;
    pthread_t thread;
    d365_status_t got;
};

static const int32_t kinds[] = {
    D365_EVENT_ENDPOINT_SWITCH_REQUIRED, D365_EVENT_ENDPOINT_SWITCHED, D365_EVENT_WRITE_IN_DOUBT,
};

static struct org org;

static int is_safe(void)
{
    return strcmp(preset, "safe") == 0;
}

static void misbehave(struct handler *handler, d365_item_t *item)
{
    d365_response_t *response = NULL;
    int is_freed = 0;
    switch (handler->act) {
    case HOLD:
        wait_until(&handler->is_over, 1);
        break;
    case KEEP:
        handler->kept = item;
        is_freed = 1;
        break;
    case SEND:
        handler->said = d365_client_send(handler->client, handler->request, &response, NULL);
        if (handler->said == D365_OK)
            handler->http_status = status_of(response);
        else
            handler->again = d365_client_shutdown(handler->client, 60000, NULL); /* blocks as well */
        break;
    case SUBMIT:
        handler->said = d365_client_submit(handler->client, handler->request, handler, NULL, NULL);
        break;
    case UNSUBSCRIBE:
        handler->said = d365_client_subscribe(handler->client, 0, NULL);
        break;
    case SHUT_DOWN:
        handler->said = d365_client_shutdown(handler->client, 0, NULL);
        handler->again = d365_client_shutdown(handler->client, 0, NULL);
        wait_until(&handler->is_over, 1);
        break;
    case FREE_CLIENT:
        handler->said = d365_client_free(handler->client);
        handler->again = d365_client_free(handler->client);
        wait_until(&handler->is_over, 1);
        break;
    case CLOSE_QUEUE:
        handler->said = d365_queue_close(handler->queue, 60000, NULL);
        break;
    case REPLY_TWICE:
        handler->said = d365_item_reply(item, D365_PROCEED, NULL);
        handler->again = d365_item_reply(item, D365_VETO, NULL);
        break;
    case VETO_TWICE:
        handler->said = d365_item_reply(item, D365_VETO, NULL);
        handler->again = d365_item_reply(item, D365_PROCEED, NULL);
        break;
    case FREE_TWICE:
        handler->said = d365_item_free(item);
        handler->again = d365_item_free(item);
        is_freed = 1;
        break;
    case ACTS:
        break;
    }
    if (!is_freed)
        OK(d365_item_free(item));
}

static void on_item(void *user_data, d365_item_t *item)
{
    struct handler *handler = user_data;
    int32_t kind = 0;
    MUST(d365_item_kind(item, &kind) == D365_OK);
    if (kind == D365_ITEM_COMPLETION) {
        d365_response_t *response = NULL;
        void *pointer = NULL;
        OK(d365_item_user_data(item, &pointer));
        CHECK(pointer == handler);
        OK(d365_item_result(item, &response, NULL));
        CHECK(status_of(response) == 200);
        OK(d365_item_free(item));
        add(&handler->completed, 1);
        return;
    }
    if (kind == handler->kind && get(&handler->seen) == 0)
        misbehave(handler, item);
    else
        OK(d365_item_free(item));
    add(&handler->events, 1);
    if (kind == handler->kind)
        add(&handler->seen, 1);
}

static void on_destroy(void *user_data)
{
    struct handler *handler = user_data;
    add(&handler->destroyed, 1);
}

/* A call that raises the events: a write that is in doubt then, or a read that is served by the alternate. */
static d365_status_t provoke(const struct handler *handler, d365_response_t **response)
{
    if (handler->kind == D365_EVENT_WRITE_IN_DOUBT) {
        fault(&org, "primary", "\"kind\":\"commit_then_close\",\"method\":\"POST\",\"times\":1");
        return call(handler->client, "POST", accounts, "{\"name\":\"in doubt\"}", response, NULL);
    }
    fault(&org, "primary", "\"kind\":\"refuse\"");
    return call(handler->client, "GET", whoami, NULL, response, NULL);
}

/* What becomes of the call. */
static void expect_end(const struct handler *handler, d365_status_t got)
{
    int ends_client = handler->act == SHUT_DOWN || handler->act == FREE_CLIENT;
    if (handler->kind == D365_EVENT_WRITE_IN_DOUBT) {
        CHECK(got == D365_WRITE_IN_DOUBT); /* it had ended before */
    } else if (handler->kind == D365_EVENT_ENDPOINT_SWITCH_REQUIRED && handler->act == VETO_TWICE) {
        CHECK(got == D365_ENDPOINT_NOT_FOUND);
    } else if (ends_client && handler->kind == D365_EVENT_ENDPOINT_SWITCHED && is_safe()) {
        /* Its retry does not wait for the handler, and may be the first. */
        CHECK(got == D365_CANCELLED || got == D365_OK);
    } else {
        CHECK(got == (ends_client ? D365_CANCELLED : D365_OK));
    }
}

/* What the handler was told. */
static void expect_answers(const struct handler *handler)
{
    int is_decision = handler->kind == D365_EVENT_ENDPOINT_SWITCH_REQUIRED;
    d365_status_t said = D365_OK, again = D365_OK;
    switch (handler->act) {
    case SEND:
        said = again = is_decision ? D365_WOULD_DEADLOCK : D365_OK;
        CHECK(handler->http_status == (is_decision ? 0 : 200));
        break;
    case FREE_CLIENT:
    case FREE_TWICE:
        again = D365_INVALID_HANDLE;
        break;
    case REPLY_TWICE:
    case VETO_TWICE:
        said = is_decision ? D365_OK : D365_NOT_AVAILABLE;
        again = is_decision ? D365_LATE : D365_NOT_AVAILABLE;
        break;
    default:
        break;
    }
    STATUS(said, handler->said);
    STATUS(again, handler->again);
}

/* Which events there were, when all have been delivered. After the end of the client: at least the one. */
static void expect_events(const struct handler *handler)
{
    int wanted = handler->kind == D365_EVENT_WRITE_IN_DOUBT ? 1 : 2;
    if (handler->kind == D365_EVENT_ENDPOINT_SWITCH_REQUIRED
        && (handler->act == UNSUBSCRIBE || handler->act == VETO_TWICE || handler->act == CLOSE_QUEUE))
        wanted = 1;
    CHECK(handler->seen == 1);
    if (handler->act != SHUT_DOWN && handler->act != FREE_CLIENT)
        CHECK(handler->events == wanted);
}

/* The client goes on, or is at its end, as the handler has left it. */
static void expect_client(struct handler *handler, d365_status_t got)
{
    d365_response_t *response = NULL;
    int32_t is_primary = -1;
    if (handler->act == FREE_CLIENT || handler->act == SHUT_DOWN) {
        STATUS(handler->act == FREE_CLIENT ? D365_INVALID_HANDLE : D365_CLOSED,
               call(handler->client, "GET", whoami, NULL, &response, NULL));
        return;
    }
    if (handler->kind != D365_EVENT_WRITE_IN_DOUBT) {
        OK(d365_client_is_primary(handler->client, &is_primary, NULL));
        CHECK(is_primary == (got != D365_OK));
    }
    control("/clear", "{}");
    OK(call(handler->client, "GET", whoami, NULL, &response, NULL));
    CHECK(status_of(response) == 200);
    if (handler->act == UNSUBSCRIBE && handler->kind == D365_EVENT_WRITE_IN_DOUBT)
        STATUS(D365_WRITE_IN_DOUBT, provoke(handler, &response));
    else if (handler->act == UNSUBSCRIBE)
        OK(d365_client_switch_endpoint(handler->client, NULL));
    OK(d365_client_shutdown(handler->client, 60000, NULL));
}

static void begin(struct handler *handler, int32_t kind, enum act act)
{
    d365_settings_t *settings;
    uint64_t mask = 0;
    size_t i;
    printf("     %s: %s in %s\n", preset, act_names[act], d365_event_kind_name(kind));
    memset(handler, 0, sizeof *handler);
    handler->kind = kind;
    handler->act = act;
    handler->request = new_request("GET", whoami, NULL);
    OK(d365_queue_new(0, &handler->queue, NULL));
    OK(d365_queue_run(handler->queue, on_item, handler, on_destroy, NULL));
    settings = settings_for(&org, handler->queue, "on");
    if (act == HOLD || act == KEEP)
        OK(d365_settings_set(settings, "handler_timeout_ms", D365_NTS, "300", D365_NTS, NULL));
    OK(d365_client_open(settings, &handler->client, NULL));
    OK(d365_settings_free(settings));
    for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
        mask |= (uint64_t)1 << kinds[i];
    OK(d365_client_subscribe(handler->client, mask, NULL));
}

static void end(struct handler *handler)
{
    OK(d365_queue_close(handler->queue, 60000, NULL)); /* what it holds is delivered first */
    CHECK(get(&handler->destroyed) == 1);
    OK(d365_queue_free(handler->queue));
    STATUS(handler->act == FREE_CLIENT ? D365_INVALID_HANDLE : D365_OK, d365_client_free(handler->client));
    OK(d365_request_free(handler->request));
    control("/clear", "{}");
}

static void misbehaviour(int32_t kind, enum act act)
{
    struct handler handler;
    d365_response_t *response = NULL;
    d365_status_t got;

    begin(&handler, kind, act);
    got = provoke(&handler, &response);
    set(&handler.is_over, 1);
    expect_end(&handler, got);
    if (got == D365_OK)
        CHECK(status_of(response) == 200);
    wait_until(&handler.seen, 1);
    wait_until(&handler.completed, act == SUBMIT);
    expect_answers(&handler);
    expect_client(&handler, got);
    if (handler.kept) {
        STATUS(kind == D365_EVENT_ENDPOINT_SWITCH_REQUIRED ? D365_LATE : D365_NOT_AVAILABLE,
               d365_item_reply(handler.kept, D365_VETO, NULL));
        OK(d365_item_free(handler.kept));
    }
    end(&handler);
    expect_events(&handler);
}

static void *call_once(void *pointer)
{
    struct caller *caller = pointer;
    d365_response_t *response = NULL;
    caller->got = call(caller->client, "GET", whoami, NULL, &response, NULL);
    if (caller->got == D365_OK)
        CHECK(status_of(response) == 200);
    return NULL;
}

/* Many calls meet the switch that the handler holds up: they share one pair of events, and its end. */
static void many_calls(int32_t kind, enum act act)
{
    enum { CALLERS = 8 };
    struct handler handler;
    struct caller callers[CALLERS];
    int i;
    begin(&handler, kind, act);
    fault(&org, "primary", "\"kind\":\"refuse\"");
    for (i = 0; i < CALLERS; i++) {
        callers[i].client = handler.client;
        MUST(pthread_create(&callers[i].thread, NULL, call_once, &callers[i]) == 0);
    }
    for (i = 0; i < CALLERS; i++) {
        MUST(pthread_join(callers[i].thread, NULL) == 0);
        if (act == SHUT_DOWN && kind == D365_EVENT_ENDPOINT_SWITCHED && callers[i].got == D365_OK)
            continue; /* it came when the switch was over, or under `safe` before the handler */
        if (act == SHUT_DOWN && callers[i].got == D365_CLOSED)
            continue; /* it came after the handler */
        expect_end(&handler, callers[i].got);
    }
    set(&handler.is_over, 1);
    wait_until(&handler.seen, 1);
    end(&handler);
    CHECK(handler.seen == 1);
    CHECK(act == SHUT_DOWN || handler.events == 2);
}

int main(int argc, char **argv)
{
    /* Each preset keeps the same promises. */
    static const char *const presets[] = {"dotnet", "safe"};
    size_t p, k;
    int act;
    alarm(400); /* a hang is a failure */
    (void)argv;
    org = read_twin();
    if (argc > 1) /* over plain HTTP */
        org = new_org("plain-handlers", "\"scheme\":\"http\"");
    control("/clear", "{}");
    for (p = 0; p < sizeof presets / sizeof *presets; p++) {
        preset = presets[p];
        for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
            for (act = 0; act < ACTS; act++)
                misbehaviour(kinds[k], (enum act)act);
        for (k = 0; k < 2; k++) {
            many_calls(kinds[k], HOLD);
            many_calls(kinds[k], SEND);
            many_calls(kinds[k], SHUT_DOWN);
        }
    }
    FINISH();
}
