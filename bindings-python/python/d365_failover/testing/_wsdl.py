"""The organization service's WSDL, as far as failover goes: its policy."""

from __future__ import annotations

from ._http import Answer, Request

_SERVICE = "/xrmservices/2011/organization.svc"


def is_wsdl(request: Request) -> bool:
    query = request.query.lower()
    return request.path.lower() == _SERVICE and (query in ("wsdl", "singlewsdl") or query.startswith("wsdl="))


def wsdl(base: str, *, available: bool) -> Answer:
    flag = str(available).lower()
    document = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<wsdl:definitions name="OrganizationService" '
        'targetNamespace="http://schemas.microsoft.com/xrm/2011/Contracts/Services" '
        'xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" '
        'xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy">'
        "<wsp:Policy><wsp:ExactlyOne><wsp:All>"
        '<ms-xrm:FailoverPolicy xmlns:ms-xrm="http://schemas.microsoft.com/xrm/2012/Contracts/Services">'
        f"<ms-xrm:FailoverAvailable>{flag}</ms-xrm:FailoverAvailable>"
        "<ms-xrm:EndpointEnabled>true</ms-xrm:EndpointEnabled></ms-xrm:FailoverPolicy>"
        "</wsp:All></wsp:ExactlyOne></wsp:Policy>"
        '<wsdl:service name="OrganizationService"><wsdl:port name="CustomBinding_IOrganizationService" '
        'binding="CustomBinding_IOrganizationService">'
        f'<soap:address location="{base}/XRMServices/2011/Organization.svc/web"/></wsdl:port></wsdl:service>'
        "</wsdl:definitions>"
    )
    return Answer(200, [("Content-Type", "text/xml; charset=utf-8")], document.encode())
