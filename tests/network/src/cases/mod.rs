//! The cases, by what fails.

mod both;
mod first;
mod machine;
mod names;
mod routes;
mod wire;

use crate::stage::Stage;

type Case = fn(&Stage);

macro_rules! cases {
    ($($group:ident: $($case:ident)*;)*) => {
        /// Every case with its name.
        pub(crate) const ALL: &[(&str, Case)] = &[
            $($((concat!(stringify!($group), "::", stringify!($case)), $group::$case),)*)*
        ];
    };
}

cases! {
    first:
        no_thread_to_look_up_with
        no_descriptor_to_look_up_the_first_name_with;
    names:
        no_such_name
        a_name_without_addresses
        a_name_server_that_fails
        a_name_server_that_refuses
        a_name_server_that_is_silent
        a_resolver_that_outlasts_the_attempt
        safe_goes_where_a_name_leads_anywhere
        safe_stays_where_no_name_leads_anywhere
        a_name_server_that_is_silent_over_ipv6
        a_name_that_comes_back
        each_call_asks_for_the_name_anew
        the_policy_is_read_at_the_other_name
        the_first_address_refuses
        the_first_address_is_a_black_hole
        every_address_is_dead;
    routes:
        nobody_listens
        a_firewall_resets_the_connect
        a_firewall_says_port_unreachable
        no_route
        no_route_over_ipv6
        an_unreachable_host
        a_router_says_host_unreachable
        a_router_says_prohibited
        a_black_hole
        a_route_that_this_machine_forbids;
    wire:
        large_packets_vanish
        a_firewall_resets_the_handshake
        a_black_hole_while_the_call_waits
        a_kept_connection_becomes_a_black_hole
        a_firewall_forgets_a_kept_connection;
    machine:
        no_descriptor_to_connect_with
        no_descriptor_to_look_up_with
        no_descriptor_to_open_a_client_with
        no_port_to_connect_from
        no_port_to_look_up_from
        no_network_at_all;
    both:
        neither_name_exists
        both_are_black_holes;
}
