/* The queue three ways: polled, woken by its descriptor or wait handle, run by a thread; and the end of each. */
#include "local.h"
#include "source.h"
#include "threads.h"

static int refusing, silent; /* ports */

struct seen {
    int items, destroyed;
    int is_held;    /* the callback waits while it is set */
    int is_inside;  /* a callback is running */
    int close_says; /* what closing or freeing inside of the callback gave */
    d365_queue_t *close_inside, *free_inside;
};

static void on_item(void *user_data, d365_item_t *item)
{
    struct seen *seen = user_data;
    set(&seen->is_inside, 1);
    pthread_mutex_lock(&lock);
    while (seen->is_held)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    if (seen->close_inside)
        set(&seen->close_says, d365_queue_close(seen->close_inside, 60000, NULL));
    if (seen->free_inside)
        set(&seen->close_says, d365_queue_free(seen->free_inside));
    MUST(d365_item_free(item) == D365_OK);
    pthread_mutex_lock(&lock);
    seen->is_inside = 0;
    seen->items++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_destroy(void *user_data)
{
    struct seen *seen = user_data;
    add(&seen->destroyed, 1);
}

static d365_queue_t *new_queue(void)
{
    d365_queue_t *queue = NULL;
    MUST(d365_queue_new(0, &queue, NULL) == D365_OK);
    return queue;
}

static void submit(d365_client_t *client, void *user_data, d365_pending_t **pending)
{
    d365_request_t *request = local_request("GET", "/api/data/v9.2/WhoAmI");
    OK(d365_client_submit(client, request, user_data, pending, NULL));
    MUST(d365_request_free(request) == D365_OK); /* at once: the call has its own */
}

/* Takes the one completion of `user_data` and says how the call ended. */
static d365_status_t take(d365_queue_t *queue, void *client_data, void *user_data)
{
    d365_item_t *item = NULL;
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    d365_attempts_t *attempts = NULL;
    d365_str_t text;
    void *pointer = NULL;
    int32_t kind = 0;
    int64_t number = -1;
    d365_status_t status, said = D365_OK;
    MUST(d365_queue_next(queue, 60000, &item, NULL) == D365_OK);
    OK(d365_item_kind(item, &kind));
    CHECK(kind == D365_ITEM_COMPLETION);
    OK(d365_item_client_data(item, &pointer));
    CHECK(pointer == client_data);
    OK(d365_item_user_data(item, &pointer));
    CHECK(pointer == user_data);
    OK(d365_item_number(item, D365_ITEM_IS_DECISION, &number));
    CHECK(number == 0);
    OK(d365_item_number(item, D365_ITEM_SEQ, &number));
    CHECK(number >= 1);
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, D365_ITEM_EPOCH, &number));
    STATUS(D365_NOT_AVAILABLE, d365_item_number(item, 999, &number));
    STATUS(D365_NOT_AVAILABLE, d365_item_text(item, D365_ITEM_REASON, &text));
    STATUS(D365_NOT_AVAILABLE, d365_item_reply(item, D365_PROCEED, NULL));
    STATUS(D365_INVALID_ARGUMENT, d365_item_reply(item, 3, NULL));
    STATUS(D365_NULL_POINTER, d365_item_result(item, NULL, NULL)); /* takes nothing away */
    status = d365_item_result(item, &response, &error);
    MUST(status != D365_OK && error != NULL && response == NULL);
    OK(d365_error_status(error, &said));
    CHECK(said == status);
    OK(d365_error_attempts(error, &attempts));
    OK(d365_attempts_free(attempts));
    OK(d365_error_free(error));
    STATUS(D365_NOT_AVAILABLE, d365_item_result(item, &response, NULL));
    OK(d365_item_free(item));
    STATUS(D365_INVALID_HANDLE, d365_item_free(item));
    return status;
}

static void polled(void)
{
    d365_queue_t *queue = new_queue();
    d365_client_t *client;
    d365_item_t *item = NULL;
    d365_pending_t *pending = NULL;
    int client_data, user_data[3], i;
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    STATUS(D365_EMPTY, d365_queue_next(queue, 20, &item, NULL));
    client = local_client(refusing, queue, &client_data);
    for (i = 0; i < 3; i++) {
        submit(client, &user_data[i], NULL);
        STATUS(D365_ENDPOINT_NOT_FOUND, take(queue, &client_data, &user_data[i]));
    }
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    submit(client, NULL, &pending);
    STATUS(D365_ENDPOINT_NOT_FOUND, take(queue, &client_data, NULL));
    OK(d365_pending_cancel(pending, NULL)); /* too late, and no misuse */
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    OK(d365_pending_free(pending));
    OK(d365_client_free(client));
    OK(d365_queue_close(queue, 0, NULL));
    STATUS(D365_CLOSED, d365_queue_next(queue, -1, &item, NULL));
    STATUS(D365_CLOSED, d365_queue_run(queue, on_item, NULL, NULL, NULL));
    OK(d365_queue_free(queue));
}

struct waiting {
    d365_client_t *client;
    d365_request_t *request;
    d365_pending_t *pending;
    d365_status_t status;
};

static void *wait_for_answer(void *of)
{
    struct waiting *waiting = of;
    d365_response_t *response = NULL;
    waiting->status = d365_client_send_cancellable(waiting->client, waiting->request, waiting->pending, &response, NULL);
    CHECK(response == NULL);
    return NULL;
}

/* A call that a thread waits for is ended by another thread, whether it has begun or not. */
static void cancelled_by_another_thread(void)
{
    struct waiting waiting;
    d365_response_t *response = NULL;
    pthread_t thread;
    int32_t http_status = -1;
    int64_t id = -1;
    int round;
    waiting.client = local_client(silent, NULL, NULL);
    waiting.request = local_request("GET", "/api/data/v9.2/WhoAmI");
    for (round = 0; round < 2; round++) {
        OK(d365_pending_new(&waiting.pending, NULL));
        if (round == 1)
            OK(d365_pending_cancel(waiting.pending, NULL));
        MUST(pthread_create(&thread, NULL, wait_for_answer, &waiting) == 0);
        OK(d365_pending_cancel(waiting.pending, NULL));
        MUST(pthread_join(thread, NULL) == 0);
        STATUS(D365_CANCELLED, waiting.status);
        STATUS(D365_NOT_AVAILABLE, d365_pending_ledger_id(waiting.pending, &id));
        STATUS(D365_INVALID_ARGUMENT, d365_client_send_cancellable(waiting.client, waiting.request, waiting.pending,
                                                                   &response, NULL));
        OK(d365_pending_free(waiting.pending));
        STATUS(D365_INVALID_HANDLE, d365_client_send_cancellable(waiting.client, waiting.request, waiting.pending,
                                                                 &response, NULL));
    }
    OK(d365_request_free(waiting.request));

    /* With `auto_switch` off there is no policy to wait for. */
    OK(d365_request_new_discover(&waiting.request, NULL));
    OK(d365_client_send(waiting.client, waiting.request, &response, NULL));
    OK(d365_response_status(response, &http_status));
    CHECK(http_status == 0);
    OK(d365_response_free(response));
    OK(d365_request_free(waiting.request));
    OK(d365_client_free(waiting.client));
}

/* A call that never ends by itself ends once, however it is ended. */
static void ended_from_outside(void)
{
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(silent, queue, NULL);
    d365_item_t *item = NULL;
    d365_pending_t *pending = NULL;
    int user_data;
    submit(client, &user_data, &pending);
    STATUS(D365_EMPTY, d365_queue_next(queue, 50, &item, NULL));
    OK(d365_pending_cancel(pending, NULL));
    OK(d365_pending_cancel(pending, NULL));
    STATUS(D365_CANCELLED, take(queue, NULL, &user_data));
    OK(d365_pending_free(pending));

    submit(client, &user_data, &pending);
    OK(d365_pending_free(pending)); /* does not cancel */
    STATUS(D365_EMPTY, d365_queue_next(queue, 50, &item, NULL));
    OK(d365_client_shutdown(client, 0, NULL));
    STATUS(D365_CANCELLED, take(queue, NULL, &user_data));
    OK(d365_client_free(client));

    client = local_client(silent, queue, NULL);
    submit(client, &user_data, NULL);
    OK(d365_client_free(client));
    STATUS(D365_CANCELLED, take(queue, NULL, &user_data));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    OK(d365_queue_free(queue));
}

/* A call that was taken is a call in flight, and its completion is there when shutdown has waited for it. */
static void shutdown_waits_for_what_was_submitted(void)
{
    int i;
    for (i = 0; i < 20; i++) {
        d365_queue_t *queue = new_queue();
        d365_client_t *client = local_client(refusing, queue, NULL);
        d365_item_t *item = NULL;
        d365_response_t *response = NULL;
        submit(client, NULL, NULL);
        OK(d365_client_shutdown(client, 60000, NULL));
        OK(d365_queue_next(queue, 0, &item, NULL));
        STATUS(D365_ENDPOINT_NOT_FOUND, d365_item_result(item, &response, NULL));
        OK(d365_item_free(item));
        OK(d365_client_free(client));
        OK(d365_queue_free(queue));
    }
}

static int begun;

static int32_t go_on(void *unused)
{
    (void)unused;
    set(&begun, 1);
    return 0;
}

static void *send_for_ever(void *client)
{
    static d365_status_t status;
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    MUST(d365_request_set_check(request, go_on, NULL, NULL) == D365_OK);
    status = d365_client_send(client, request, &response, NULL);
    MUST(d365_request_free(request) == D365_OK);
    return &status;
}

static int32_t stop_at_the_third(void *asked)
{
    return ++*(int *)asked == 3;
}

static void blocking_calls_end_too(void)
{
    d365_client_t *client = local_client(silent, NULL, NULL);
    d365_request_t *request = local_request("POST", "/");
    d365_response_t *response = NULL;
    d365_error_t *error = NULL;
    pthread_t thread;
    void *status;
    int asked = 0;
    int32_t number = -1;

    OK(d365_request_set_check(request, stop_at_the_third, &asked, NULL));
    STATUS(D365_WRITE_IN_DOUBT, d365_client_send(client, request, &response, &error));
    CHECK(asked == 3);
    OK(d365_error_kind(error, &number));
    CHECK(number == D365_FAULT_CANCELLED);
    OK(d365_error_phase(error, &number));
    CHECK(number == D365_PHASE_SENT);
    OK(d365_error_effect(error, &number));
    CHECK(number == D365_EFFECT_UNKNOWN);
    OK(d365_error_free(error));
    OK(d365_request_set_check(request, NULL, NULL, NULL));
    OK(d365_request_set_timeout_ms(request, 2000, NULL));
    STATUS(D365_WRITE_IN_DOUBT, d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));

    MUST(pthread_create(&thread, NULL, send_for_ever, client) == 0);
    wait_until(&begun, 1);
    OK(d365_client_free(client));
    MUST(pthread_join(thread, &status) == 0);
    STATUS(D365_CANCELLED, *(d365_status_t *)status);
}

static void by_a_loop(void)
{
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(refusing, queue, NULL);
    d365_item_t *item = NULL;
    source_t source = source_of(queue);
    CHECK(source == source_of(queue));
    CHECK(!is_ready(source, 0));
    submit(client, NULL, NULL);
    submit(client, NULL, NULL);
    CHECK(is_ready(source, 60000));
    STATUS(D365_ENDPOINT_NOT_FOUND, take(queue, NULL, NULL));
    CHECK(is_ready(source, 60000));
    STATUS(D365_ENDPOINT_NOT_FOUND, take(queue, NULL, NULL));
    STATUS(D365_EMPTY, d365_queue_next(queue, 0, &item, NULL));
    CHECK(!is_ready(source, 0));
    OK(d365_queue_close(queue, 0, NULL));
    CHECK(is_ready(source, 0));
    STATUS(D365_CLOSED, d365_queue_next(queue, 0, &item, NULL));
    CHECK(is_ready(source, 0));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

/* What was there before anybody asked what to wait for. */
static void by_a_loop_that_comes_late(void)
{
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(refusing, queue, NULL);
    submit(client, NULL, NULL);
    OK(d365_client_shutdown(client, 60000, NULL));
    CHECK(is_ready(source_of(queue), 0));
    STATUS(D365_ENDPOINT_NOT_FOUND, take(queue, NULL, NULL));
    CHECK(!is_ready(source_of(queue), 0));
    OK(d365_client_free(client));
    OK(d365_queue_free(queue));
}

static void run(void)
{
    struct seen seen;
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(refusing, queue, NULL);
    d365_item_t *item = NULL;
    memset(&seen, 0, sizeof seen);
    STATUS(D365_NULL_POINTER, d365_queue_run(queue, NULL, &seen, on_destroy, NULL));
    CHECK(get(&seen.destroyed) == 0);
    OK(d365_queue_run(queue, on_item, &seen, on_destroy, NULL));
    STATUS(D365_BUSY, d365_queue_run(queue, on_item, &seen, on_destroy, NULL));
    STATUS(D365_BUSY, d365_queue_next(queue, 0, &item, NULL));
    submit(client, NULL, NULL);
    submit(client, NULL, NULL);
    wait_until(&seen.items, 2);

    /* While a callback runs, close says so; when it has ended, destroy has run. */
    set(&seen.is_held, 1);
    submit(client, NULL, NULL);
    wait_until(&seen.is_inside, 1);
    STATUS(D365_BUSY, d365_queue_close(queue, 20, NULL));
    CHECK(get(&seen.destroyed) == 0);
    set(&seen.is_held, 0);
    OK(d365_queue_close(queue, 60000, NULL));
    CHECK(get(&seen.destroyed) == 1 && get(&seen.items) == 3);
    STATUS(D365_CLOSED, d365_queue_next(queue, 0, &item, NULL));
    OK(d365_queue_close(queue, 0, NULL));
    OK(d365_queue_free(queue));
    OK(d365_client_free(client));
    CHECK(get(&seen.destroyed) == 1);
}

/* What was put in before close is delivered after it. */
static void closed_with_items_left(void)
{
    struct seen seen;
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(silent, queue, NULL);
    int i;
    memset(&seen, 0, sizeof seen);
    seen.is_held = 1;
    OK(d365_queue_run(queue, on_item, &seen, on_destroy, NULL));
    for (i = 0; i < 3; i++)
        submit(client, NULL, NULL);
    OK(d365_client_shutdown(client, 0, NULL)); /* three completions: cancelled */
    wait_until(&seen.is_inside, 1);
    OK(d365_client_shutdown(client, 60000, NULL));
    STATUS(D365_BUSY, d365_queue_close(queue, 0, NULL));
    set(&seen.is_held, 0);
    OK(d365_queue_close(queue, 60000, NULL));
    CHECK(get(&seen.items) == 3 && get(&seen.destroyed) == 1);
    OK(d365_queue_free(queue));
    OK(d365_client_free(client));
}

/* A queue freed while its callback runs: that callback comes to its end, then destroy, no other callback. */
static void freed_while_running(void)
{
    struct seen seen;
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(refusing, queue, NULL);
    memset(&seen, 0, sizeof seen);
    seen.is_held = 1;
    OK(d365_queue_run(queue, on_item, &seen, on_destroy, NULL));
    submit(client, NULL, NULL);
    wait_until(&seen.is_inside, 1);
    submit(client, NULL, NULL);
    OK(d365_client_shutdown(client, 60000, NULL)); /* the second completion is in the queue now */
    OK(d365_queue_free(queue));
    CHECK(get(&seen.destroyed) == 0);
    set(&seen.is_held, 0);
    wait_until(&seen.destroyed, 1);
    CHECK(get(&seen.items) == 1);
    OK(d365_client_free(client));
}

static void closed_or_freed_inside(int is_free)
{
    struct seen seen;
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(refusing, queue, NULL);
    memset(&seen, 0, sizeof seen);
    seen.close_says = -1;
    if (is_free)
        seen.free_inside = queue;
    else
        seen.close_inside = queue;
    OK(d365_queue_run(queue, on_item, &seen, on_destroy, NULL));
    submit(client, NULL, NULL);
    wait_until(&seen.destroyed, 1);
    STATUS(D365_OK, get(&seen.close_says));
    CHECK(get(&seen.items) == 1 && get(&seen.destroyed) == 1);
    STATUS(is_free ? D365_INVALID_HANDLE : D365_OK, d365_queue_free(queue));
    OK(d365_client_free(client));
}

/* The client outlives its queue: its completions have nowhere to go, and nothing breaks. */
static void freed_before_its_client(void)
{
    d365_queue_t *queue = new_queue();
    d365_client_t *client = local_client(silent, queue, NULL);
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    submit(client, NULL, NULL);
    OK(d365_queue_free(queue));
    OK(d365_request_set_timeout_ms(request, 100, NULL));
    STATUS(D365_TIMEOUT, d365_client_send(client, request, &response, NULL));
    OK(d365_request_free(request));
    OK(d365_client_free(client));
}

static void *next_for_ever(void *queue)
{
    static d365_status_t status;
    d365_item_t *item = NULL;
    status = d365_queue_next(queue, -1, &item, NULL);
    return &status;
}

static void a_waiting_thread_is_woken(void)
{
    d365_queue_t *queue = new_queue();
    pthread_t thread;
    void *status;
    MUST(pthread_create(&thread, NULL, next_for_ever, queue) == 0);
    OK(d365_queue_close(queue, 0, NULL));
    MUST(pthread_join(thread, &status) == 0);
    STATUS(D365_CLOSED, *(d365_status_t *)status);
    OK(d365_queue_free(queue));
}

int main(void)
{
    alarm(120); /* a hang is a failure */
    refusing = local_port(0);
    silent = local_port(1);
    polled();
    ended_from_outside();
    cancelled_by_another_thread();
    shutdown_waits_for_what_was_submitted();
    blocking_calls_end_too();
    by_a_loop();
    by_a_loop_that_comes_late();
    run();
    closed_with_items_left();
    freed_while_running();
    closed_or_freed_inside(0);
    closed_or_freed_inside(1);
    freed_before_its_client();
    a_waiting_thread_is_woken();
    FINISH();
}
