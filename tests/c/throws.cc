/* A C++ exception out of a callback: the header says that the process ends, and how a callback keeps it in. */
#include <stdexcept>

#include "children.h"
#include "local.h"

static int32_t throws_in_check(void *)
{
    throw std::runtime_error("out of a callback");
}

static void throws_in_item(void *, d365_item_t *)
{
    throw std::runtime_error("out of a callback");
}

static int32_t keeps_in(void *said) noexcept
{
    try {
        throw std::runtime_error("kept in");
    } catch (const std::exception &error) {
        *static_cast<int *>(said) = 1;
        return 1; /* ends the call */
    }
}

static d365_status_t send(d365_check_fn check, void *user_data)
{
    d365_client_t *client = local_client(local_port(1), NULL, NULL);
    d365_request_t *request = local_request("GET", "/");
    d365_response_t *response = NULL;
    OK(d365_request_set_check(request, check, user_data, NULL));
    d365_status_t status = d365_client_send(client, request, &response, NULL);
    OK(d365_request_free(request));
    OK(d365_client_free(client));
    return status;
}

/* It is no exception of the caller's that is caught: nothing of the library may be left that way. */
static void an_exception_on_the_callers_thread()
{
    try {
        send(throws_in_check, NULL);
    } catch (...) {
        CHECK(!"an exception came through the library");
    }
}

static void an_exception_on_a_thread_of_the_librarys()
{
    d365_queue_t *queue = NULL;
    OK(d365_queue_new(0, &queue, NULL));
    OK(d365_queue_run(queue, throws_in_item, NULL, NULL, NULL));
    d365_client_t *client = local_client(local_port(0), queue, NULL);
    OK(d365_client_submit(client, local_request("GET", "/"), NULL, NULL, NULL));
    for (;;)
        pause(); /* the other thread ends the process */
}

static void an_exception_that_is_caught()
{
    int said = 0;
    STATUS(D365_CANCELLED, send(keeps_in, &said));
    CHECK(said == 1);
}

int main(int argc, char **argv)
{
    static const struct child children[] = {
        {"an_exception_on_the_callers_thread", an_exception_on_the_callers_thread, SIGABRT},
        {"an_exception_on_a_thread_of_the_librarys", an_exception_on_a_thread_of_the_librarys, SIGABRT},
        {"an_exception_that_is_caught", an_exception_that_is_caught, 0},
    };
    return run_children(argc, argv, children, sizeof children / sizeof *children);
}
