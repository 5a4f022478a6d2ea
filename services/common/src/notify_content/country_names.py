"""Every country an envelope may name, with the keys that lead to it (content.md Appendix C).

Each zone's table has one entry for each canonical name, the name printed on the envelope: the name, a colon,
and its keys parted by commas, on as many indented lines as they need. `countries.key` says how keys are
formed.
"""

UNITED_KINGDOM = """
United Kingdom:
    alderney, anrywvanethunys, bailiwickofguernsey, bailiwickofjersey, bitain, brecqhou, briain, britain,
    britiain, brtain, channelislands, cymru, ellanvannin, eng, england, englsnd, gb, gbn, gbr, gg,
    gratbritain, greatbritain, greatbritan, gretbritain, guernsey, herm, im, islandofguernsey,
    islandofjersey, isleofman, je, jersey, jethou, ni, nir, nireland, northernireland, northireland,
    riochtaontaithe, rioghachdaonaichte, sark, scotland, scottland, sct,
    theunitedkingdomofgreatbritainandnorthernireland, uk, unitedkingdom,
    unitedkingdomofgreatbritainandnorthernireland, unititkinrick, wales, wls, ydeyrnasunedig, yralban
"""

EUROPE = """
Albania:
    al, alabnia, albana, albania, albanian, albanija, albenia, albiana, alibania, republicofalbania,
    shqiperia, therepublicofalbania
Andorra:
    ad, andorra, principalityofandorra, theprincipalityofandorra
Armenia:
    am, arima, armenia, arminia, hayastan, republicofarmenia, therepublicofarmenia, հայաստան
Austria:
    at, austria, awstria, oesterreich, osterreich, republicofaustria, republikosterreich,
    therepublicofaustria
Azerbaijan:
    aserbaijan, az, azebaijan, azeraijan, azerbaijan, azerbaijanirepublic, azerbaijann, azerbaisan,
    azerbaizan, azerbajan, azerbajdzhan, azerbajdzhanrepublic, azerbaycan, azerbayjan, azerbeyjan,
    azerbpijan, azərbaycan, republicofazerbaijan, therepublicofazerbaijan
Azores:
    autonomousregionoftheazores, azores
Balearic Islands:
    balearicislands, illesbalears, islasbaleares
Belarus:
    belarus, belarws, bielarus, by, byelarus, byelorussia, republicofbelarusbelorussia,
    therepublicofbelarus, whiterussia, беларусь
Belgium:
    be, belgie, belgien, belgique, belgium, belguim, gwladbelg, kingdomofbelgium, thekingdomofbelgium
Bosnia and Herzegovina:
    ba, bih, bosnaihercegovina, bosniaahercegovina, bosniaandherzegovina, bosniaherzegovina,
    republicofbosniaandherzegovina, боснаихерцеговина
Bulgaria:
    balgarija, bg, bugaria, bulagar, bulgaria, bulgariya, bwlgaria, republicofbulgaria,
    therepublicofbulgaria, българия
Canary Islands:
    canaries, canaryislands, elhierro, fuerteventura, grancanaria, islascanarias, lagomera, lagraciosa,
    lanzarote, lapalma, tenerife
Corsica:
    corse, corsica
Croatia:
    croatia, hr, hrvatska, republicofcroatia, therepublicofcroatia
Cyprus:
    cy, cyprus, kypros, kıbrıs, republicofcyprus, therepublicofcyprus, κύπρος
Czechia:
    ceska, ceskarepublika, cesko, cs, cz, czechia, czechoslav, czechoslovakia, czechoslovakrepublic,
    czechrepublic, theczechrepublic, yweriniaethtsiec
Denmark:
    danmark, denmarc, denmark, dk, kingdomofdenmark, thekingdomofdenmark
Estonia:
    ee, eesti, esthonia, estonia, republicofestonia, therepublicofestonia
Faroe Islands:
    aeroes, faroeislands, faroes, fo, færøerne, føroyar
Finland:
    fi, finland, republicoffinland, suomi, therepublicoffinland, yffindir
France:
    ffrainc, fr, france, frenchrepublic, republiquefrancaise, thefrenchrepublic
Georgia:
    ge, georgia, sakartvelo, საქართველო
Germany:
    bundesrepublik, dd, de, deutschland, eastgermany, federalrepublicofgermany, frg, germany,
    germanydemocraticrepublic, thefederalrepublicofgermany, westgermany, yralmaen
Gibraltar:
    gi, gibraltar
Greece:
    ellada, ellas, gr, greece, gwladgroeg, hellas, hellenicrepublic, thehellenicrepublic, ελλάδα, ελλάς
Greenland:
    gl, greenland, gronland, grønland, kalaallitnunaat
Hungary:
    hu, hungary, hwngari, magyarorszag
Iceland:
    gwladyria, iceland, is, island, republicoficeland, therepublicoficeland
Ireland:
    eire, ie, ireland, irelend, irishrepublic, iwerddon, repofireland, republicofireland, roi,
    southernireland, southireland
Italy:
    it, italia, italianrepublic, italy, itlay, theitalianrepublic, yreidal
Kazakhstan:
    kazakh, kazakhstan, kazakstan, khazakhstan, kz, qazaqstan, republicofkazakhstankazak,
    therepublicofkazakhstan, казахстан, қазақстан, قازاقستان
Kosovo:
    kosova, kosovo, republicofkosovo, therepublicofkosovo, xk, косово
Kyrgyzstan:
    kg, kirghizia, kirghizstan, kirgiz, kirgizia, kirgizija, kirgizstan, kyrgyzrepublic,
    kyrgyzrepublickirghiz, kyrgyzstan, thekyrgyzrepublic, киргизия, кыргызстан
Latvia:
    latfia, latvia, latvija, latvijaz, lv, republicoflatvia, therepublicoflatvia
Liechtenstein:
    li, liechtenstein, principalityofliechtenstein, theprincipalityofliechtenstein
Lithuania:
    lietuva, lithuania, lithwania, lt, republicoflithuanialietuva, therepublicoflithuania
Luxembourg:
    grandduchyofluxembourg, letzebuerg, lu, luxemborg, luxembourg, luxemburg, lwcsembwrg,
    thegrandduchyofluxembourg
Madeira:
    autonomousregionofmadeira, madeira, regiaoautonomadamadeira
Malta:
    malta, mt, republicofmalta, therepublicofmalta
Moldova:
    md, moldavia, moldofa, moldova, republicofmoldova, therepublicofmoldova
Monaco:
    mc, monaco, principalityofmonaco, theprincipalityofmonaco
Montenegro:
    crnagora, me, montenegro, црнагора
Netherlands:
    holland, kingdomofthenetherlands, nederlan, nederland, netherlands, nl, thekingdomofthenetherlands,
    yriseldiroedd
North Macedonia:
    gogleddmacedonia, gweriniaethmacedonia, macedon, macedonia, makedonija, mk, northmacedonia,
    republicofmacedonia, therepublicofmacedonia, македонија
Norway:
    kingdomofnorway, no, noreg, norge, norway, norwy, thekingdomofnorway
Poland:
    gwladpwyl, pl, poland, polska, republicofpoland, therepublicofpoland
Portugal:
    portiwgal, portugal, portuguesa, portugueserepublic, pt, theportugueserepublic
Romania:
    ro, romania, roumania, rumania, rwmania
Russia:
    rossia, rossiya, ru, russia, russianfederation, rwsia, therussianfederation, российская, россия
San Marino:
    repubblica, republicofsanmarino, rsm, sanmarino, sanmarinorepublicof, sm, therepublicofsanmarino
Serbia:
    republicofserbia, rs, serbia, srbija, therepublicofserbia, србија, србијаsrbija
Slovakia:
    sk, slofacia, slovakia, slovakrepublic, slovenska, slovensko, theslovakrepublic
Slovenia:
    republicofslovenia, si, slofenia, slovenia, slovenija, therepublicofslovenia
Spain:
    es, espainia, espana, espanha, espanya, kingdomofspain, sbaen, spain, thekingdomofspain
Sweden:
    kingdomofsweden, se, sverige, sweden, thekingdomofsweden
Switzerland:
    ch, schweiz, suisse, svizra, svizzera, swissconfederation, switerland, switzerland,
    theswissconfederation, yswistir
Tajikistan:
    republicoftajikistantadjik, tadzhik, tadzhikistan, tajik, tajikistan, therepublicoftajikistan, tj,
    tocikiston, tojikistan, тоҷикистон
Turkey:
    republicofturkey, therepublicofturkey, tr, turkey, turkiye, twrci
Turkmenistan:
    tm, turkmen, turkmenia, turkmenistan, turkomen
Ukraine:
    ua, ukraine, ukrayina, ukraїna, wcrain, україна
Uzbekistan:
    o'zbekiston, ozbekstan, republicofuzbekistan, therepublicofuzbekistan, uz, uzbek, uzbekistan, ўзбекистон
Vatican City:
    cittadelvaticano, ecivitatevaticana, holysee, va, vatican, vaticancity, vaticancitystate
"""

REST_OF_WORLD = """
Abu Dhabi:
    abudhabi, aeaz, emirateofabudhabi
Afghanistan:
    af, affganistan, afganastan, afganestan, afganhistan, afganistan, afghanestan, afghanistan, afghanlstan,
    afghistan, islamicrepublicofafghanistan, theislamicrepublicofafghanistan, افغانستان
Ajman:
    aeaj, ajman, emirateofajman
Akrotiri:
    akrotiri, xqz
Algeria:
    aigeria, alegeria, algeir, algeirs, algeria, algers, algieria, algiers, aljazair, dz, dzayer,
    peoplesdemocraticrepublicofalgeriaalgerie, thepeoplesdemocraticrepublicofalgeria, الجزائر, ⴷⵣⴰⵢⴻⵔ
American Samoa:
    americansamoa, as, easternsamoa, territoryofamericansamoa
Angola:
    angola, angolo, ao, republicofangola, therepublicofangola
Anguilla:
    ai, anguilla
Antarctica:
    antarctica, aq
Antigua and Barbuda:
    ag, antiguaandbarbuda, antigwaabarbiwda
Argentina:
    ar, argenina, argentiha, argentina, argentine, argentinerepublic, argentinia, argentna, genusargentina,
    theargentinerepublic, yrariannin
Aruba:
    aruba, aw
Ascension:
    ascension, ascensionisland, shac
Australia:
    au, ausralia, austalia, austraila, austrailia, australa, australia, australla, austrilia, austrlia,
    autralia, avstralia, avstria, awstralia, commonwealthofaustralia, thecommonwealthofaustralia
Bahrain:
    albahrayn, bahrain, bh, kingdomofbahrain, stateofbahrain, thekingdomofbahrain, البحرين
Baker Island:
    bakerisland
Bangladesh:
    bangladesh, bd, eastpakistan, peoplesrepublicofbangladesh, thepeoplesrepublicofbangladesh, বাংলাদেশ
Barbados:
    barbados, bb
Belize:
    belize, britishhonduras, bz
Benin:
    benin, bj, dahomey, republicofbenin, therepublicofbenin
Bermuda:
    bermuda, bermudas, bm
Bhutan:
    bhutan, bhwtan, bt, drukyul, kingdomofbhutan, thekingdomofbhutan, भूटान, འབྲུག་ཡུལ
Bolivia:
    bo, bolifia, bolivia, buliwya, plurinationalstateofbolivia, theplurinationalstateofbolivia, volivia,
    wuliwya
Bonaire:
    bonaire, bqbo
Botswana:
    botswana, bw, republicofbotswana, therepublicofbotswana
Bouvet Island:
    bouvetisland, bv
Brazil:
    br, brasil, brazil, federativerepublicofbrazil, thefederativerepublicofbrazil
British Antarctic Territory:
    bat, britishantarcticterritory
British Indian Ocean Territory:
    britishindianoceanterritory, io, iot, thebritishindianoceanterritory
British Virgin Islands:
    britishvirginislands, bvi, thevirginislands, vg, virginaislands, virginislands, virginislandsbritish
Brunei:
    bn, brunei, bruneidarussalam, بروني
Burkina Faso:
    bf, burkinafaso, burkinafasoupper, volta
Burundi:
    bi, burundi, bwrwndi, republicofburundi, therepublicofburundi
Cambodia:
    cambodia, kampuchea, kh, kingdomofcambodia, thekingdomofcambodia, កម្ពុជា
Cameroon:
    cameroon, cameroun, camerwn, cm, republicofcameroon, therepublicofcameroon
Canada:
    ca, canada, canadaigua, candada
Cape Verde:
    cabo, caboverde, capeverde, cv, republicofcaboverde, therepublicofcaboverde
Cayman Islands:
    caymanislands, ky
Central African Republic:
    car, centralafrica, centralafricanrepublic, cf, gweriniaethcanolbarthaffrica, kodorosesetibeafrika,
    republiquecentrafricaine, thecentralafricanrepublic
Ceuta:
    ceuta, esce
Chad:
    chad, republicofchad, tchad, td, therepublicofchad, tsad, تشاد, تشاد\u200e
Chile:
    chile, cl, republicofchile, therepublicofchile
China:
    cathay, china, cn, mainlandchina, peoplesrepublic, peoplesrepublicofchina, prc,
    thepeoplesrepublicofchina, tsieina, zhongguo, zhonghua, zhonghuapeoplesrepublic, 中华, 中国, 中国/中华
Christmas Island:
    christmasisland, cx, territoryofchristmasisland
Cocos (Keeling) Islands:
    cc, cocoskeelingislands, territoryofthecocoskeelingislands
Colombia:
    co, colombia, republicofcolombia, therepublicofcolombia
Comoros:
    comores, comoros, federalislamicrepublicofthecomoros, juzuralqamar, km, komori, theunionofthecomoros,
    unionofthecomoros, ycomoros, جزالقمر, جزرالقمر
Congo:
    brazzaville, cg, congo, congodemocraticrepublicof, frenchcongo, gweriniaethycongo, republicofthecongo,
    republiqueducongo, therepublicofthecongo
Congo (Democratic Republic):
    cd, congobrazzaville, congodemocraticrepublic, democraticrepublicofthecongo,
    gweriniaethddemocrataiddcongo, repubilikayakongo, republiquedemocratiqueducongo,
    thedemocraticrepublicofthecongo
Cook Islands:
    ck, cookislands
Costa Rica:
    coastarica, costarica, costarico, cr, republicofcostarica, therepublicofcostarica
Cuba:
    ciwba, cu, cuba, republicofcuba, therepublicofcuba
Curaçao:
    countryofcuracao, curacao, curacaoformernetherlandsantilles, cw, korsou
Dhekelia:
    dhekelia, sovereignbaseareasofakrotirianddhekelia, xxd
Djibouti:
    dj, djibouti, djiboutirepublicof, gabuuti, jabuuti, jibuti, republicofdjibouti, therepublicofdjibouti,
    جيبوتي, جيبوتي\u200e
Dominica:
    commonwealthofdominica, dm, dominica, dominicacommonwealthof, dominique, thecommonwealthofdominica
Dominican Republic:
    do, dominicanrepublic, gweriniaethdominica, republicadominicana, thedominicanrepublic
Dubai:
    aedu, dubai, dubaiuae, emirateofdubai
East Timor:
    democraticrepublicoftimorlestetimor, dwyraintimor, easttimor, thedemocraticrepublicoftimorleste,
    timorleste, timorlorosae, tl
Easter Island:
    easterisland
Ecuador:
    ec, ecuador, ecwador, republicofecuador, therepublicofecuador
Egypt:
    arabrepublicofegypt, eg, egpyt, egyot, egypt, egyt, masr, misr, rgypt, thearabrepublicofegypt,
    unitedarabrepublic, yraifft, مصر
El Salvador:
    elsalvador, republicofelsalvador, salvador, sv, therepublicofelsalvador
Equatorial Guinea:
    equatorialguinea, ginigyhydeddol, gq, guineaecuatorial, republicofequatorialguinea, spanishguinea,
    therepublicofequatorialguinea
Eritrea:
    er, eritrea, ertra, iritriya, stateoferitrea, thestateoferitrea, إرتريا, ኤርትራ
Eswatini:
    eswatini, gwladswazi, kangwane, kingdomofeswatini, kingdomofswaziland, ngwane, swatini, swaziland, sz,
    thekingdomofswaziland, umbusoweswatini, weswatini, weswatiniswatiningwane
Ethiopia:
    abyssinia, et, ethiopia, ethopi, federaldemocraticrepublicofethiopia, ityopia,
    thefederaldemocraticrepublicofethiopia, yaltopya, ኢትዮጵያ
Falkland Islands:
    falkland, falklandislands, fk, lasmalvinas, thefalklandislands, thefalklands
Fiji:
    ffiji, fiji, fj, republicoffiji, therepublicoffiji, viti, फ़िजी
French Guiana:
    frenchguiana, gf, guyane
French Polynesia:
    frenchoceania, frenchpolynesia, pf, polynesiefrancaise
French Southern Territories:
    frenchsouthernterritories, tf
Fujairah:
    aefu, emirateoffujairah, fujairah
Gabon:
    ga, gabon, gaboneserepublic, gabun, republiquegabonaise, thegaboneserepublic
Ghana:
    gh, ghana, goldcoast, republicofghana, therepublicofghana
Grenada:
    gd, grenada
Guadeloupe:
    gp, guadeloupe
Guam:
    gu, guahan, guam, territoryofguam
Guatemala:
    gt, guatemala, republicofguatemala, therepublicofguatemala
Guinea:
    frenchguinea, gine, gini, gn, guinea, guinee, republicofguinea, therepublicofguinea
Guinea-Bissau:
    guineabissau, guinebissau, gw, portugueseguinea, republicofguineabissau, therepublicofguineabissau
Guyana:
    britishguiana, cooperativerepublicofguyana, gaiana, guyana, gy, thecooperativerepublicofguyana
Haiti:
    ayiti, haiti, ht, republicofhaiti, therepublicofhaiti
Heard Island and McDonald Islands:
    heardislandandmcdonaldislands, hm, territoryofheardislandandmcdonaldislands
Honduras:
    hn, honduras, hondwras, republicofhonduras, therepublicofhonduras
Hong Kong:
    heunggong, hk, hongkong, hongkongspecialadministrativeregion, 香港
Howland Island:
    howlandisland
India:
    barata, bharat, bharata, bharatadesam, bharatam, bharot, bharoto, hindustan, in, india, republicofindia,
    therepublicofindia, भारत, भारतगणराज्य, भारतम्, ভারত, ভাৰত, ਭਾਰਤ, ભારત, ଭାରତ, பாரதம், భారతదేశం, ಭಾರತ,
    ഭാരതം
Indonesia:
    dutcheastindies, id, indonesia, republicofindonesia, therepublicofindonesia
Iran:
    ir, iran, islamicrepublicofiran, persia, theislamicrepublicofiran, ایران
Iraq:
    aliraq, iq, irac, irak, iraq, republicofiraq, therepublicofiraq, العراق, العراق\u200e, \u200e
Israel:
    il, israel, israʼiyl, isreal, sion, stateofisrael, thestateofisrael, yisrael, zion, ישראל, إسرائيل,
    إسرائيلישראל
Ivory Coast:
    ci, cotedivoire, ivorycoast, republicofcotedivoire, therepublicofcotedivoire
Jamaica:
    jamaca, jamacia, jamaica, jm, rastafari, rastas
Japan:
    japan, jp, nihon, nippon, 日本
Jarvis Island:
    jarvisisland
Johnston Atoll:
    johnstonatoll
Jordan:
    alurdun, hashemitekingdomofjordan, iorddonen, jo, jordan, thehashemitekingdomofjordan, الأردن
Kenya:
    ke, kenya, republicofkenya, therepublicofkenya
Kingman Reef:
    kingmanreef
Kiribati:
    ki, kiribati, republicofkiribati, therepublicofkiribati
Kuwait:
    dawlatulkuwayt, ilikwet, koweit, kuwait, kw, stateofkuwait, thestateofkuwait, الكويت, دولةالكويت
Laos:
    la, lao, laopeoplesdemocraticrepublic, laos, thelaopeoplesdemocraticrepublic, ປະເທດລາວ
Lebanon:
    lb, lebaneserepublic, lebanon, libanus, lubnan, thelebaneserepublic, لبنان
Lesotho:
    basutoland, kingdomoflesotho, lesotho, ls, thekingdomoflesotho
Liberia:
    liberia, lr, republicofliberia, therepublicofliberia
Libya:
    jamahiriya, libia, libiya, libya, ly, socialistpeopleslibyanarab, ليبيا, ⵍⵉⴱⵢⴰ
Macao:
    macao, macaospecialadministrativeregion, macau, mo
Madagascar:
    madagascar, madagasgar, madagasikara, malagasyrepublic, mg, republicofmadagascar,
    therepublicofmadagascar
Malawi:
    malawi, mw, nyasaland, republicofmalawi, therepublicofmalawi
Malaysia:
    federationofmalaysia, malaixiya, malaysia, malesiya, malyasi, my, மலேசியா, 马来西亚
Maldives:
    dhivehiraajje, maldives, mv, republicofmaldives, therepublicofmaldives
Mali:
    frenchsudan, mali, ml, republicofmali, therepublicofmali
Marshall Islands:
    aorōkinm̧ajeļ, marshallislands, mh, republicofthemarshallislands, therepublicofthemarshallislands,
    ynysoeddmarshall
Martinique:
    martinique, mq
Mauritania:
    agawec, islamicrepublicofmauritania, mauritania, mauritanie, mr, muritan, muritaniya, muritanya,
    republiqueislamiquedemauritanie, theislamicrepublicofmauritania, الموريتانية, موريتانيا, ⴰⴳⴰⵡⵛ, ⵎⵓⵔⵉⵜⴰⵏ
Mauritius:
    maurice, mauritius, moris, mu, republicofmauritius, therepublicofmauritius
Mayotte:
    mayotte, yt
Melilla:
    esml, melilla
Mexico:
    mecsico, mexcio, mexicanos, mexico, mexihco, mexixo, mx, theunitedmexicanstates, unitedmexicanstates
Micronesia:
    federatedstatesofmicronesia, fm, micronesia, micronesiafederatedstatesof, thefederatedstatesofmicronesia
Midway Islands:
    midwayislands
Mongolia:
    mn, mongolia, mongoluls, mongγolulus, outermongolia, монголулс, ᠮᠤᠩᠭᠤᠯᠤᠯᠤᠰ
Montserrat:
    montserrat, ms
Morocco:
    almaɣréb, amerruk, elmeɣrib, kingdomofmoroccoalmagrib, ma, maroc, marruecos, morocco, moroco,
    thekingdomofmorocco, المغرب, ⴰⵎⵔⵔⵓⴽ, ⵍⵎⵖⵔⵉⴱ
Mozambique:
    mocambique, mosambic, mozambique, mz, republicofmozambique, therepublicofmozambique
Myanmar (Burma):
    burma, mm, myanma, myanmar, myanmarburma, republicoftheunionofmyanmar, therepublicoftheunionofmyanmar,
    မြန်မာ
Namibia:
    na, namibia, namibie, republicofnamibia, southwestafrica, therepublicofnamibia
Nauru:
    naoero, nauru, nr, republicofnauru, therepublicofnauru
Navassa Island:
    navassaisland
Nepal:
    federaldemocraticrepublicofnepal, nepal, np, thefederaldemocraticrepublicofnepal, नेपाल
New Caledonia:
    nc, newcaledonia, nouvellecaledonie
New Zealand:
    aotearoa, newzealand, newzeeland, nz, selandnewydd, zealnd, zeland
Nicaragua:
    nicaragua, nicaragwa, republicofnicaragua, therepublicofnicaragua
Niger:
    ne, niger, nijar, republicofniger, therepublicofniger
Nigeria:
    federalrepublicofnigeria, naijiria, ng, nigeria, nijeriya, thefederalrepublicofnigeria
Niue:
    niue, nu
Norfolk Island:
    nf, norfolkisland, territoryofnorfolkisland
North Korea:
    bukchoson, democraticpeoplesrepublicofkoread, dprk, gogleddcorea, kp, northkorea, prk,
    thedemocraticpeoplesrepublicofkorea, 북조선, 조선/朝鮮
Northern Mariana Islands:
    commonwealthofthenorthernmarianaislands, mp, northernmarianaislands, northernmarianas
Occupied Palestinian Territories:
    occupiedpalestinianterritories, palestine, palestinestateof, palestinianterritory, ps, stateofpalestine,
    theoccupiedpalestinianterritories, فلسطين
Oman:
    'uman, muscatandoman, om, oman, sultanateofoman, thesultanateofoman, عمان, عُمان
Pakistan:
    islamicrepublicofpakistan, pakistan, pk, theislamicrepublicofpakistan, westpakistan, پاکستان
Palau:
    belau, palau, pelew, pw, republicofpalau, therepublicofpalau
Palmyra Atoll:
    palmyraatoll
Panama:
    pa, panama, republicofpanama, therepublicofpanama
Papua New Guinea:
    independentstateofpapuanewguinea, papuaguineanewydd, papuanewguinea, papuaniugini, pg, png,
    theindependentstateofpapuanewguinea
Paraguay:
    paraguai, paraguay, paragwai, py, republicofparaguay, therepublicofparaguay
Peru:
    pe, periw, peru, piruw, republicofperu, therepublicofperu
Philippines:
    ph, philippineislands, philippines, phillippine, pilipinas, pinas, republicofthephilippines,
    therepublicofthephilippines
Pitcairn, Henderson, Ducie and Oeno Islands:
    ducieandoenoislands, ducieisland, henderson, hendersonisland, oenoisland, pitcairn,
    pitcairnhendersonducieandoenoislands, pitcairnisland, pn
Puerto Rico:
    commonwealthofpuertorico, portorico, pr, puartorico, puertorico
Qatar:
    katar, qa, qatar, stateofqatar, thestateofqatar, ztateofkatar, قطر
Ras al-Khaimah:
    aerk, emirateofrasalkhaimah, rasalkhaimah
Rwanda:
    republicofrwandaruanda, rw, rwanda, rwandarepublicof, rwandeserepublic, therepublicofrwanda
Réunion:
    re, reunion
Saba:
    bqsa, saba
Saint Barthélemy:
    bl, saintbarthelemy, stbarth, stbarthelemy
Saint Helena:
    sainthelena, shhl, sthelena
Saint Pierre and Miquelon:
    pm, saintpierreandmiquelon, saintpierreetmiquelon
Saint-Martin (French part):
    collectivityofsaintmartin, mf, saintmartinfrenchpart
Samoa:
    amerikasamoa, independentstateofsamoa, samo, samoa, samoaisisifo, theindependentstateofsamoa,
    westernsamoa, ws
Sao Tome and Principe:
    democraticrepublicofsaotomeandprincipe, saothomeeprincipe, saotomeandprincipe, saotomeaprincipe,
    saotomeeprincipe, st, stthomasandprincipe, thedemocraticrepublicofsaotomeandprincipe
Saudi Arabia:
    almamlakaal'arabiyyahassa'udiyyah, kingdomofsaudiarabia, sa, saudiarabia, thekingdomofsaudiarabia,
    السعودية, المملكةالعربيةالسعودية
Senegal:
    republicofsenegal, senegal, sn, therepublicofsenegal
Seychelles:
    republicofseychelles, sc, sesel, seychelles, therepublicofseychelles
Sharjah:
    aesh, emirateofsharjah, sharjah
Sierra Leone:
    republicofsierraleone, sierraleone, sl, therepublicofsierraleone
Singapore:
    republicofsingapore, sg, singapore, singapur, singapura, therepublicofsingapore, xinjiapo, சிங்கப்பூர்,
    சிங்கப்பூர்கு, சிங்கப்பூர்குடியரசு, டியரசு, 新加坡, 新加坡共和国
Sint Eustatius:
    bqse, sinteustatius
Sint Maarten (Dutch part):
    sintmaarten, sintmaartendutchpart, sx
Solomon Islands:
    sb, solomonaelan, solomonislands, solomons, ynysoeddsolomon
Somalia:
    alitihaadalislamiya, assumal, federalrepublicofsomalia, federalrepublicofsomaliaaiai, so, somalia,
    soomaaliya, الصومال
South Africa:
    aforikaborwa, afrikaborwa, afrikadzonga, afurikatshipembe, deaffrica, iningizimuafrika, isewulaafrika,
    republicofsouthafrica, rsa, southafrica, suidafrika, therepublicofsouthafrica, umzantsiafrika, za
South Georgia and South Sandwich Islands:
    gs, southgeorgiaandsouthsandwichislands, southgeorgiaandthesouthsandwichislands
South Georgia and the South Sandwich Islands:
    southgeorgia, thesandwichislands, thesouthsandwichislands
South Korea:
    decorea, hanguk, korea, korearepublicof, kr, namhan, republicofkorea, southkorea, therepublicofkorea,
    남한, 한국/韓國
South Sudan:
    desudan, republicofsouthsudan, southsudan, ss, therepublicofsouthsudan
Sri Lanka:
    ceylon, democraticsocialistrepublicofsrilanka, lk, srilanka, thedemocraticsocialistrepublicofsrilanka,
    இலங்கை
St Kitts and Nevis:
    federationofsaintchristopherandnevis, kn, saintkitts, saintkittsandnevis, saintkittsanevis, stkitts,
    stkittsandnevis, stkittsanevis, thefederationofsaintchristopherandnevis
St Lucia:
    lc, saintlucia, stlucia
St Vincent:
    saintvincentandthegrenadines, saintvincentargrenadines, stvincent, vc
Sudan:
    assudan, republicofthesudan, sd, soudan, sudan, therepublicofthesudan, السودان
Suriname:
    republicofsuriname, sarnam, sarnamsranangron, sr, sranangron, suriname, swrinam, therepublicofsuriname,
    शर्नम्
Svalbard and Jan Mayen:
    sj, svalbardandjanmayen
Syria:
    suriyah, sy, syria, syrianarabrepublic, thesyrianarabrepublic, سورية
Taiwan:
    chinesetaipei, republicofchina, taiwan, tw, zhonghuaminguo, 中華民國, 台灣, 臺灣, 臺灣/台灣
Tanzania:
    tanzania, theunitedrepublicoftanzania, tz, unitedrepublicoftanzania
Thailand:
    gwladthai, kingdomofthailand, mueangthai, prathetthai, ratchaanachakthai, siam, th, thailand,
    thekingdomofthailand, ประเทศไทย, ราชอาณาจักรไทย, เมืองไทย
The Bahamas:
    bs, commonwealthofbahamas, thebahamas, thecommonwealthofthebahamas, ybahamas
The Gambia:
    gm, islamicrepublicofgambia, thegambia, therepublicofthegambia, ygambia
Togo:
    tg, thetogoleserepublic, togo, togolese, togoleserepublic
Tokelau:
    tk, tokelau
Tonga:
    friendlyislands, kingdomoftonga, thekingdomoftonga, to, tonga
Trinidad and Tobago:
    republicoftrinidadandtobago, therepublicoftrinidadandtobago, trinidadandtobago, trinidadathobago, tt
Tristan da Cunha:
    shta, tristan, tristandacunha
Tunisia:
    thetunisianrepublic, tn, tunes, tunisia, tunisianrepublic, tuns, تونس, ⵜⵓⵏⵙ
Turks and Caicos Islands:
    tc, turksandcaicosislands
Tuvalu:
    elliceislands, jerri, tuvalu, tv, twfalw
Uganda:
    republicofuganda, therepublicofuganda, ug, uganda
Umm al-Quwain:
    aeuq, emirateofummalquwain, ummalquwain
United Arab Emirates:
    ae, alimaratal'arabiyyahalmuttahidah, arabemirates, theunitedarabemirates, uae, unitedarabemirates,
    yremiradauarabaiddunedig, الإمارات, الإماراتالعربيّةالمتّحدة
United States:
    ameeri, ameica, amelikahuipuia, amerca, amercia, ameria, america, americia, amrica, anmerica,
    estadosunidos, etatsunis, hawaii, thestates, theunitedstatesofamercia, theunitedstatesofamerica,
    unitedsat, unitedstaes, unitedstated, unitedstates, unitedstatesamercia, unitedstatesamerica,
    unitedstatesofamercia, unitedstatesofamerica, unitedstats, unitedsttes, unitesstates, unitestates,
    unitstates, unoldaleithiauamerica, untiedstate, us, usa
United States Virgin Islands:
    americanvirginislands, unitedstatesvirginislands, vi, virginislandsoftheunitedstates
Uruguay:
    orientalrepublicofuruguay, republicaorientaldeluruguay, theorientalrepublicofuruguay, uruguay, uy,
    wrwgwai
Vanuatu:
    newhebrides, republicofvanuatu, therepublicofvanuatu, vanuatu, vu
Venezuela:
    bolivarianrepublicofvenezuela, feneswela, thebolivarianrepublicofvenezuela, ve, venezuela, venezula
Vietnam:
    annam, fietnam, socialistrepublicofvietnam, thesocialistrepublicofvietnam, veitnam, vietman, vietnam,
    việtnam, vn
Wake Island:
    wakeisland
Wallis and Futuna:
    territoryofthewallisandfutunaislands, uveamofutuna, wallisandfutuna, wallisetfutuna, wf
Western Sahara:
    eh, westernsahara, لصحراءالغربية
Yemen:
    alyaman, republicofyemen, therepublicofyemen, ye, yemen, اليمن
Zambia:
    northernrhodesia, republicofzambia, therepublicofzambia, zambia, zm
Zimbabwe:
    republicofzimbabwe, rhodesia, therepublicofzimbabwe, zimbabwe, zw
Åland Islands:
    aaland, ahvenanmaa, aland, alandislands, ax
"""
